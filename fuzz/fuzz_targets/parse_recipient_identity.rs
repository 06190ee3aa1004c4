//! See `ageseal_fuzz::parse_recipient_identity`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ageseal_fuzz::parse_recipient_identity(data));
