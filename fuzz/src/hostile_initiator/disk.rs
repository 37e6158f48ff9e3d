//! What a disk may hold: for each block, the writes of which one must have been the last.

use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a block.
pub const BLOCK: usize = 512;
/// Blocks of the disk.
pub const BLOCKS: u32 = 64;

/// The last write of a block is one of these; 0 stands for none.
type Candidates = BTreeSet<u32>;

/// A command that reads or writes whole blocks, and has no end yet.
#[derive(Debug)]
struct Access {
    lba: u32,
    count: u32,
    /// What a read may give, from its sending on; empty for a write.
    seen: Vec<Candidates>,
}

impl Access {
    fn covers(&self, block: u32) -> bool {
        (self.lba..self.lba + self.count).contains(&block)
    }
}

/// The disk, as far as answers tell. Tags are those of the commands.
#[derive(Debug)]
pub struct Disk {
    blocks: Vec<Candidates>,
    writes: BTreeMap<u32, Access>,
    reads: BTreeMap<u32, Access>,
    /// Blocks whose last write was answered since the last [`Self::pause`].
    fresh: BTreeSet<u32>,
    /// Something was sent that may have changed it in another way.
    spoilt: bool,
}

impl Disk {
    /// A disk of zeros.
    #[must_use]
    pub fn new() -> Self {
        Self {
            blocks: vec![BTreeSet::from([0]); BLOCKS as usize],
            writes: BTreeMap::new(),
            reads: BTreeMap::new(),
            fresh: BTreeSet::new(),
            spoilt: false,
        }
    }

    /// Nothing is known any more.
    pub fn spoil(&mut self) {
        self.spoilt = true;
    }

    /// A write was sent.
    pub fn write(&mut self, tag: u32, lba: u32, count: u32) {
        let seen = Vec::new();
        self.writes.insert(tag, Access { lba, count, seen });
        for block in lba..lba + count {
            self.blocks[block as usize].insert(tag);
            self.show(block);
        }
    }

    /// A read was sent.
    pub fn read(&mut self, tag: u32, lba: u32, count: u32) {
        let seen = self.blocks[lba as usize..(lba + count) as usize].to_vec();
        self.reads.insert(tag, Access { lba, count, seen });
    }

    /// A write was answered with GOOD: what was there before is gone, but for writes that were carried
    /// out at the same time, or will be.
    pub fn written(&mut self, tag: u32) {
        let Some(access) = self.writes.remove(&tag) else {
            return;
        };
        for block in access.lba..access.lba + access.count {
            let open = self.writes.iter().filter(|(_, write)| write.covers(block));
            let mut left: Candidates = open.map(|(tag, _)| *tag).collect();
            left.insert(tag);
            if self.fresh.insert(block) {
                self.blocks[block as usize] = left;
            } else {
                self.blocks[block as usize].extend(left);
            }
            self.show(block);
        }
    }

    /// A read was answered with GOOD and this data.
    pub fn check_read(&mut self, tag: u32, data: &[u8]) {
        let Some(access) = self.reads.remove(&tag) else {
            return;
        };
        if self.spoilt {
            return;
        }
        assert_eq!(data.len(), access.count as usize * BLOCK);
        for ((block, bytes), seen) in (access.lba..).zip(data.chunks(BLOCK)).zip(&access.seen) {
            let fits = seen.iter().any(|tag| bytes == content(*tag, block));
            let begin = &bytes[..8];
            assert!(
                fits,
                "block {block} reads {begin:02x?}.. after the writes {seen:?}"
            );
        }
    }

    /// All that was carried out until now has been answered, if it ever will be.
    pub fn pause(&mut self) {
        self.fresh.clear();
    }

    /// Open reads may see what a block holds now.
    fn show(&mut self, block: u32) {
        let now = &self.blocks[block as usize];
        for read in self.reads.values_mut().filter(|read| read.covers(block)) {
            read.seen[(block - read.lba) as usize].extend(now);
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

/// What the write of this tag puts into a block.
#[must_use]
pub fn content(tag: u32, block: u32) -> Vec<u8> {
    let word = if tag == 0 { 0 } else { tag << 8 | block };
    word.to_be_bytes().repeat(BLOCK / 4)
}
