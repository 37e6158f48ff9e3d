//! The session against a target that is stepped by hand: every PDU is raw bytes with constants typed
//! from the RFC text, never from our codec, and time is virtual.
//!
//! Tests are named after the line of the conformance list they keep, where there is one: `ffp_*` of
//! the UNH-IOL full feature phase suite, `sup_*` of the supplement.

mod bench;
mod bounds;
mod connections;
mod counters;
mod events;
mod extended;
mod hostile;
mod life;
mod logout;
mod loss;
mod management;
mod many;
mod numbers;
mod reads;
mod reassign;
mod rejects;
mod snack;
mod storm;
mod stuck;
mod wire;
mod writes;
