//! What is on the disk of the target, and what a caller may find there.

use std::collections::HashMap;

/// Bytes of a block: small, so that one segment holds several.
pub(crate) const BLOCK: usize = 64;
/// Blocks of the disk, shared by the logical units.
pub(crate) const BLOCKS: usize = 64;
/// The most blocks of one command.
pub(crate) const MOST_BLOCKS: usize = 64;

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

/// What a block may hold, by what the caller was told.
#[derive(Debug)]
struct Known {
    /// The last acknowledged version, and those since whose writes have not ended well.
    possible: Vec<u64>,
    /// Its last write has not ended yet.
    being_written: bool,
}

/// The caller's knowledge of all blocks, and of the reads under way.
#[derive(Debug)]
pub(crate) struct Oracle {
    blocks: Vec<Known>,
    /// Reads under way: first block, and what each block may turn out to hold.
    reads: HashMap<u64, (usize, Vec<Vec<u64>>)>,
}

impl Oracle {
    pub(crate) fn new() -> Self {
        let fresh = || Known {
            possible: vec![0],
            being_written: false,
        };
        Self {
            blocks: (0..BLOCKS).map(|_| fresh()).collect(),
            reads: HashMap::new(),
        }
    }

    /// Nobody writes there now: concurrent writes of one block have no order.
    pub(crate) fn may_write(&self, first: usize, count: usize) -> bool {
        !self.blocks[first..first + count]
            .iter()
            .any(|block| block.being_written)
    }

    pub(crate) fn begin_write(&mut self, first: usize, count: usize, version: u64) {
        for block in &mut self.blocks[first..first + count] {
            block.possible.push(version);
            block.being_written = true;
        }
        for (begin, seen) in self.reads.values_mut() {
            for (n, versions) in seen.iter_mut().enumerate() {
                if (first..first + count).contains(&(*begin + n)) {
                    versions.push(version);
                }
            }
        }
    }

    /// The write has ended; `done` when with GOOD. Otherwise it may have happened or not, but it
    /// will not happen any more once a later one is acknowledged.
    pub(crate) fn end_write(&mut self, first: usize, count: usize, version: u64, done: bool) {
        for block in &mut self.blocks[first..first + count] {
            block.being_written = false;
            if done {
                block.possible = vec![version];
            }
        }
    }

    pub(crate) fn begin_read(&mut self, token: u64, first: usize, count: usize) {
        let seen = self.blocks[first..first + count]
            .iter()
            .map(|block| block.possible.clone())
            .collect();
        self.reads.insert(token, (first, seen));
    }

    /// The read has ended, with these bytes when it ended well.
    pub(crate) fn end_read(&mut self, token: u64, data: Option<&[u8]>) {
        let (first, seen) = self.reads.remove(&token).expect("a read that was begun");
        let Some(data) = data else { return };
        for (n, (block, allowed)) in data.chunks(BLOCK).zip(&seen).enumerate() {
            let found = version_of(block);
            assert!(
                allowed.contains(&found),
                "block {} reads as version {found}, may be {allowed:?}",
                first + n
            );
        }
    }

    /// Compares what is on the disk in the end.
    pub(crate) fn compare(&self, disk: &[u64]) {
        for (n, (known, found)) in self.blocks.iter().zip(disk).enumerate() {
            assert!(!known.being_written);
            assert!(
                known.possible.contains(found),
                "block {n} holds version {found}, may be {:?}",
                known.possible
            );
        }
    }
}
