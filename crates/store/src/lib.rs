//! Keeps records and secrets durably.
#![forbid(unsafe_code)]
