//! Drives the sans-IO core over real sockets and offers block devices.
#![deny(unsafe_code)]
