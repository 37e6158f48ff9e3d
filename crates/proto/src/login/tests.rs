//! Tests of the login against a peer that is scripted byte by byte.

mod chap;
mod framing;
mod operational;
mod peer;
mod status;
