//! The program `hawser`.
#![forbid(unsafe_code)]
fn main() {}
