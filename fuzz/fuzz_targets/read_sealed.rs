//! See `ageseal_fuzz::read_sealed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ageseal_fuzz::read_sealed(data));
