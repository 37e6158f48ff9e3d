//! Tests of the headers against bytes typed from the field tables of RFC 7143 §11.

mod ahs;
mod codes;
mod from_initiator;
mod from_target;
mod malformed;
mod round_trip;

use super::{Bhs, Pdu};

/// Builds 48 bytes from the RFC's rows of four.
fn rows(rows: [[u8; 4]; 12]) -> Bhs {
    let mut bhs = [0; 48];
    bhs.as_chunks_mut::<4>().0.copy_from_slice(&rows);
    bhs
}

/// The header that `bhs` is, after a check that building it gave these very bytes.
#[track_caller]
fn assert_golden<P: Pdu + std::fmt::Debug + PartialEq>(built: &P, golden: &Bhs) {
    assert_eq!(built.as_bhs(), golden, "built {built:?}");
    assert_eq!(P::from_bhs(golden), built);
}
