//! Load generator, limit server and benchmark tables.

fn main() {}
