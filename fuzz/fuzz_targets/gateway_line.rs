#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ipfs_kitd_fuzz::gateway_line(bytes));
