//! `ageseal`, the command line.

fn main() {}
