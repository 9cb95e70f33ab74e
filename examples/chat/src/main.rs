//! Chat rooms: the example application.

fn main() {}
