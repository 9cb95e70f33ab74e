//! Project commands: demo, test, check, bench.

fn main() {}
