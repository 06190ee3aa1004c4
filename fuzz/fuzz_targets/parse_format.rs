//! See `ageseal_fuzz::parse_format`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ageseal_fuzz::parse_format(data));
