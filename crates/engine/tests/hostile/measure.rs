//! Each offence in a frame of its own: how long it takes and how much memory the engine needs meanwhile.
//!
//! The tests of this program run as threads of one process, so the process' memory says nothing about one
//! of them. But an engine lives on the runtime that its session was opened on, and here that is a
//! current-thread runtime on the thread of the test: session, sockets' buffers, logins and all that waits
//! for them are allocated on this one thread. The peer is a thread of its own, and the engine starts no
//! other (it resolves no names here, which is all that it would leave to one). So the allocator of this
//! program counts by thread (`allocation-counter`), and the peak of live bytes on the thread of the test,
//! above what was live when the offence began, is the engine's, with the test's own few.
//! [`the_measure_sees_the_engine_and_not_the_peer`] holds the method to that. A block that grows counts
//! twice while it does, old and new: the figures are above the truth rather than below it.
//!
//! The bounds of time and memory are those that the row of `docs/hostile-peers.md` states.

use std::future::Future;
use std::time::{Duration, Instant};

use super::peer::{LIMIT, Pdu};
use super::rig::Rig;
use super::table;

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    /// Peak of live bytes.
    pub(crate) memory: u64,
    pub(crate) time: Duration,
}

/// Runs something on a runtime of this thread alone.
pub(crate) fn taken(course: impl Future<Output = ()>) -> Taken {
    let began = Instant::now();
    let counted = allocation_counter::measure(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        let ended = runtime.block_on(async { tokio::time::timeout(LIMIT, course).await });
        ended.expect("the offence has an end");
    });
    Taken {
        memory: counted.bytes_max,
        time: began.elapsed(),
    }
}

/// Runs the test of the row `id` and holds it to the bounds that stand there.
pub(crate) fn offence(id: &str, course: impl Future<Output = ()>) {
    let bounds = table::bounds(id);
    let taken = taken(course);
    let Taken { memory, time } = taken;
    println!("{id} peak {} KiB, {time:.2?}", memory.div_ceil(1024));
    assert!(memory <= bounds.memory, "{id}: {memory} bytes, {bounds:?}");
    assert!(time <= bounds.time, "{id}: {time:?}, {bounds:?}");
}

/// What the engine keeps is counted, wherever it is allocated; what the peer keeps is not.
#[test]
fn the_measure_sees_the_engine_and_not_the_peer() {
    const READ: u32 = 8 << 20;
    let with = |read: u32| {
        taken(async move {
            let rig = Rig::patient(|peer| {
                let hoard = vec![1_u8; 64 << 20];
                let request = peer.command()?;
                peer.say(Pdu::scsi_response(&request, 0)).ok()?;
                peer.serve()?;
                drop(hoard);
                None
            })
            .await;
            rig.read(read).await.expect("an answer");
            rig.log_out().await;
        })
    };
    let (little, much) = (with(512).memory, with(READ).memory);
    assert!(little < 1 << 20, "{little}");
    let more = much - little;
    // But for the little that the smaller one kept.
    assert!((7 << 20..16 << 20).contains(&more), "{more}");
}
