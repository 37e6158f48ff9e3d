//! A sparse disk in memory: room is taken where something was written, and given back by discard.

use std::io;
use std::sync::{PoisonError, RwLock};

use super::{Backend, Extent};

/// Bytes of a chunk, the unit of allocation. Large enough for the allocator to hand out untouched
/// pages, which take no memory before they are written.
const CHUNK: usize = 1 << 20;
/// Bytes of a sector, the unit of "mapped".
const SECTOR: usize = 512;
/// Words of a chunk's map: one bit a sector.
const MAP_WORDS: usize = CHUNK / SECTOR / 64;
/// Largest disk: the table of chunks alone then takes some tens of megabytes.
const MAX_SIZE: u64 = 1 << 40;

/// A chunk in which something is mapped.
#[derive(Debug)]
struct Chunk {
    data: Vec<u8>,
    /// Bit `n` of the map tells whether sector `n` is mapped; what is not mapped is zero.
    mapped: [u64; MAP_WORDS],
}

impl Chunk {
    fn new() -> Box<Self> {
        Box::new(Self {
            data: vec![0; CHUNK],
            mapped: [0; MAP_WORDS],
        })
    }

    fn is_mapped(&self, sector: usize) -> bool {
        self.mapped
            .get(sector / 64)
            .is_some_and(|word| word >> (sector % 64) & 1 == 1)
    }

    fn set_mapped(&mut self, sectors: std::ops::Range<usize>, mapped: bool) {
        for sector in sectors {
            if let Some(word) = self.mapped.get_mut(sector / 64) {
                let bit = 1 << (sector % 64);
                *word = if mapped { *word | bit } else { *word & !bit };
            }
        }
    }
}

/// A disk in memory. It forgets everything when it is dropped, and nothing before: it counts as not
/// volatile, because no flush could make it safer.
#[derive(Debug)]
pub struct RamBackend {
    size: u64,
    chunks: Vec<RwLock<Option<Box<Chunk>>>>,
}

/// The part of one chunk that a range touches.
struct Piece {
    chunk: usize,
    start: usize,
    len: usize,
}

impl RamBackend {
    /// An empty disk of `size` bytes, all zeros.
    ///
    /// # Errors
    /// `InvalidInput` above 1 TiB.
    pub fn new(size: u64) -> io::Result<Self> {
        let count = usize::try_from(size.div_ceil(CHUNK as u64)).unwrap_or(usize::MAX);
        if size > MAX_SIZE {
            let message = format!("a RAM disk of {size} bytes is larger than {MAX_SIZE}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self {
            size,
            chunks: (0..count).map(|_| RwLock::new(None)).collect(),
        })
    }

    /// The pieces of the chunks under `len` bytes from `offset` on.
    fn pieces(&self, offset: u64, len: u64) -> io::Result<impl Iterator<Item = Piece>> {
        let end = offset.checked_add(len).filter(|&end| end <= self.size);
        let end = end.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let mut at = offset;
        Ok(std::iter::from_fn(move || {
            let chunk = usize::try_from(at / CHUNK as u64).ok()?;
            let start = usize::try_from(at % CHUNK as u64).ok()?;
            let len = (CHUNK - start).min(usize::try_from(end - at).unwrap_or(CHUNK));
            at += len as u64;
            (len > 0).then_some(Piece { chunk, start, len })
        }))
    }

    fn chunk(&self, piece: &Piece) -> io::Result<&RwLock<Option<Box<Chunk>>>> {
        self.chunks
            .get(piece.chunk)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Backend for RamBackend {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        for piece in self.pieces(offset, buffer.len() as u64)? {
            let chunk = self
                .chunk(&piece)?
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            let Some((part, rest)) = buffer.split_at_mut_checked(piece.len) else {
                break;
            };
            let data = chunk
                .as_ref()
                .and_then(|c| c.data.get(piece.start..piece.start + piece.len));
            match data {
                Some(data) => part.copy_from_slice(data),
                None => part.fill(0),
            }
            buffer = rest;
        }
        Ok(())
    }

    fn write(&self, offset: u64, mut data: &[u8]) -> io::Result<()> {
        for piece in self.pieces(offset, data.len() as u64)? {
            let mut slot = self
                .chunk(&piece)?
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let chunk = slot.get_or_insert_with(Chunk::new);
            let Some((part, rest)) = data.split_at_checked(piece.len) else {
                break;
            };
            let end = piece.start + piece.len;
            if let Some(to) = chunk.data.get_mut(piece.start..end) {
                to.copy_from_slice(part);
            }
            chunk.set_mapped(piece.start / SECTOR..end.div_ceil(SECTOR), true);
            data = rest;
        }
        Ok(())
    }

    fn flush(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        for piece in self.pieces(offset, len)? {
            let mut slot = self
                .chunk(&piece)?
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let Some(chunk) = slot.as_mut() else { continue };
            let end = piece.start + piece.len;
            if let Some(data) = chunk.data.get_mut(piece.start..end) {
                data.fill(0);
            }
            // Only sectors that went as a whole are no longer mapped.
            chunk.set_mapped(piece.start.div_ceil(SECTOR)..end / SECTOR, false);
            if chunk.mapped.iter().all(|&word| word == 0) {
                *slot = None;
            }
        }
        Ok(())
    }

    fn extent(&self, offset: u64) -> io::Result<Extent> {
        let mut extent: Option<Extent> = None;
        for piece in self.pieces(offset, self.size.saturating_sub(offset).max(1))? {
            let chunk = self
                .chunk(&piece)?
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            let mapped = |at: usize| chunk.as_ref().is_some_and(|c| c.is_mapped(at / SECTOR));
            let wanted = extent.map_or_else(|| mapped(piece.start), |e| e.mapped);
            let mut at = piece.start;
            let end = piece.start + piece.len;
            while at < end && mapped(at) == wanted {
                // A chunk that is not there is unmapped as a whole.
                at = if chunk.is_none() {
                    end
                } else {
                    (at / SECTOR + 1) * SECTOR
                };
            }
            let found = at.min(end) - piece.start;
            let before = extent.map_or(0, |e| e.len);
            extent = Some(Extent {
                len: before + found as u64,
                mapped: wanted,
            });
            if at < end {
                break;
            }
        }
        extent.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn is_volatile(&self) -> bool {
        false
    }

    fn may_block(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_read_across_chunks() {
        let disk = RamBackend::new(3 * CHUNK as u64).unwrap();
        let at = CHUNK as u64 - 700;
        let data: Vec<u8> = (0..=255u8).cycle().take(CHUNK + 1400).collect();
        disk.write(at, &data).unwrap();
        let mut back = vec![9; data.len() + 2];
        disk.read(at - 1, &mut back).unwrap();
        assert_eq!(back[0], 0);
        assert_eq!(back[1..=data.len()], data);
        assert_eq!(back[data.len() + 1], 0);
    }

    #[test]
    fn discarded_sectors_read_as_zeros_and_are_not_mapped() {
        let disk = RamBackend::new(2 * CHUNK as u64 + 512).unwrap();
        let whole = disk.size();
        assert_eq!(
            disk.extent(0).unwrap(),
            Extent {
                len: whole,
                mapped: false
            }
        );
        disk.write(0, &vec![7; CHUNK + 1024]).unwrap();
        assert_eq!(
            disk.extent(512).unwrap(),
            Extent {
                len: CHUNK as u64 + 512,
                mapped: true
            }
        );
        disk.discard(1024, 512).unwrap();
        assert_eq!(
            disk.extent(0).unwrap(),
            Extent {
                len: 1024,
                mapped: true
            }
        );
        assert_eq!(
            disk.extent(1024).unwrap(),
            Extent {
                len: 512,
                mapped: false
            }
        );
        let mut back = [1; 1024];
        disk.read(1024, &mut back).unwrap();
        assert_eq!(back[..512], [0; 512]);
        assert_eq!(back[512..], [7; 512]);
        disk.discard(0, whole).unwrap();
        assert!(
            disk.chunks
                .iter()
                .all(|slot| slot.read().unwrap().is_none()),
            "room given back"
        );
    }

    #[test]
    fn a_discard_of_half_a_sector_clears_it_but_keeps_it_mapped() {
        let disk = RamBackend::new(4096).unwrap();
        disk.write(0, &[5; 1024]).unwrap();
        disk.discard(100, 100).unwrap();
        let mut back = [1; 300];
        disk.read(0, &mut back).unwrap();
        assert_eq!(back[100..200], [0; 100]);
        assert_eq!((back[99], back[200]), (5, 5));
        assert!(disk.extent(0).unwrap().mapped);
    }

    #[test]
    fn nothing_lies_outside() {
        let disk = RamBackend::new(4096).unwrap();
        assert!(disk.read(4095, &mut [0; 2]).is_err());
        assert!(disk.write(u64::MAX, &[0]).is_err());
        assert!(disk.discard(0, 4097).is_err());
        assert!(disk.extent(4096).is_err());
        assert!(RamBackend::new(MAX_SIZE + 1).is_err());
    }
}
