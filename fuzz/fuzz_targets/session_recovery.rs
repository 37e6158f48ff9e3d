//! A hostile target in the full feature phase of a session with several connections at any error recovery
//! level: see [`hawser_fuzz::initiator`] for what must hold.
#![no_main]

use hawser_fuzz::initiator::{Setting, play};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let setting = Setting {
        level: 2,
        connections: 4,
    };
    play(data, setting);
});
