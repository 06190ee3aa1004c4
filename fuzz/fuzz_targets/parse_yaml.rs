//! See `ageseal_fuzz::parse_yaml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ageseal_fuzz::parse_yaml(data));
