//! See `ageseal_fuzz::rewrite`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ageseal_fuzz::rewrite(data);
});
