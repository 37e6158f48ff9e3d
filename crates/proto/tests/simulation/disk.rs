//! What is on the disk of the target, and what a reader may find there.

use std::collections::HashMap;

/// Bytes of a block: small, so that one segment holds several.
pub(crate) const BLOCK: usize = 64;
/// Blocks of the disk, shared by the logical units.
pub(crate) const BLOCKS: usize = 64;

/// The bytes of a block that holds this version.
pub(crate) fn block_of(version: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for (n, word) in block.chunks_mut(8).enumerate() {
        let value = version.wrapping_mul(1 + 0x10_0001 * n as u64);
        word.copy_from_slice(&value.to_le_bytes());
    }
    block
}

/// The version a block holds; a panic when its bytes do not belong together.
pub(crate) fn version_of(block: &[u8]) -> u64 {
    let version = u64::from_le_bytes(block[..8].try_into().unwrap());
    assert!(block == block_of(version), "a torn or corrupt block");
    version
}

/// A write of one block, as its caller knows it. Times are counted in events.
#[derive(Debug, Clone, Copy)]
struct Write {
    version: u64,
    submitted: u64,
    /// When its caller was told of its end; `MAX` while it is under way.
    ended: u64,
}

/// What each block may hold, and what each read under way may find: a register with concurrent
/// writers. A value is out of the question for a read once a later write, one that was submitted
/// after that value's end, is known to have happened before the read was submitted: because it was
/// acknowledged, or because an earlier read found it.
#[derive(Debug)]
pub(crate) struct Oracle {
    clock: u64,
    /// Writes that a new read may find.
    blocks: Vec<Vec<Write>>,
    /// Reads under way: first block, and the versions that each block may turn out to hold.
    reads: HashMap<u64, (usize, Vec<Vec<u64>>)>,
}

impl Oracle {
    pub(crate) fn new() -> Self {
        let fresh = Write {
            version: 0,
            submitted: 0,
            ended: 0,
        };
        Self {
            clock: 0,
            blocks: vec![vec![fresh]; BLOCKS],
            reads: HashMap::new(),
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(crate) fn begin_write(&mut self, first: usize, count: usize, version: u64) {
        let submitted = self.tick();
        for block in &mut self.blocks[first..first + count] {
            block.push(Write {
                version,
                submitted,
                ended: u64::MAX,
            });
        }
        for (begin, seen) in self.reads.values_mut() {
            for (n, versions) in seen.iter_mut().enumerate() {
                if (first..first + count).contains(&(*begin + n)) {
                    versions.push(version);
                }
            }
        }
    }

    /// The write has ended; `done` when with GOOD. Otherwise it may have happened or not, but it will
    /// not happen any more once one that is submitted from now on is acknowledged.
    pub(crate) fn end_write(&mut self, first: usize, count: usize, version: u64, done: bool) {
        let ended = self.tick();
        for block in &mut self.blocks[first..first + count] {
            if let Some(write) = block.iter_mut().find(|write| write.version == version) {
                write.ended = ended;
            }
            if done {
                has_happened(block, version);
            }
        }
    }

    pub(crate) fn begin_read(&mut self, token: u64, first: usize, count: usize) {
        let blocks = &self.blocks[first..first + count];
        let versions = |block: &Vec<Write>| block.iter().map(|write| write.version).collect();
        let seen = blocks.iter().map(versions).collect();
        self.reads.insert(token, (first, seen));
    }

    /// The read has ended, with these bytes when it ended well.
    pub(crate) fn end_read(&mut self, token: u64, data: Option<&[u8]>) {
        let (first, seen) = self.reads.remove(&token).expect("a read that was begun");
        let Some(data) = data else { return };
        for (n, (block, allowed)) in data.chunks(BLOCK).zip(&seen).enumerate() {
            let found = version_of(block);
            let at = first + n;
            assert!(
                allowed.contains(&found),
                "block {at} reads as version {found}, may be {allowed:?}"
            );
            has_happened(&mut self.blocks[at], found);
        }
    }

    /// Compares what is on the disk in the end.
    pub(crate) fn compare(&self, disk: &[u64]) {
        for (n, (block, found)) in self.blocks.iter().zip(disk).enumerate() {
            assert!(
                block.iter().any(|write| write.version == *found),
                "block {n} holds version {found}, may be {block:?}"
            );
        }
    }
}

/// This write has happened by now: what had ended before it was submitted is overwritten for good.
fn has_happened(block: &mut Vec<Write>, version: u64) {
    if let Some(&Write { submitted, .. }) = block.iter().find(|write| write.version == version) {
        block.retain(|write| write.version == version || write.ended > submitted);
    }
}
