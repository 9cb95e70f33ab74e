//! The command line of the benchmarks.

fn main() {}
