//! A hostile initiator towards the embedded target, through logins, several connections and all that a
//! session can be asked: see [`hawser_fuzz::hostile_initiator`] for what must hold.
#![no_main]

use hawser_fuzz::hostile_initiator::play;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play(data));
