//! Keys that come from outside the core: identity files, and recipients of other kinds.
