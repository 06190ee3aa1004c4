//! Text and bytes of sealed items and envelopes.
