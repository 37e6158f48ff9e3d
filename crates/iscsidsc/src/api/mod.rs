//! The calls of the library for Rust programs: owned types, `Result<_, Status>`.
