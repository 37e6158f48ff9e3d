//! What goes back to the caller, through buffers of the caller's (§1.3 to §1.5).
//!
//! A report is first built as an [`Image`]: the bytes that the buffer shall hold, with the places of the pointers in
//! them. A [`Room`] is the caller's buffer with its size; it takes an image whole or not at all. So nothing is
//! written before it is known to fit, no rubbish is between the fields, and the buffer may be at any address.

mod image;
pub(crate) mod reports;
mod room;

pub(crate) use image::Image;
pub(crate) use room::{Nothing, Place, Room};

#[cfg(test)]
mod tests;
