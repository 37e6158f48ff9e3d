//! A volatile write cache: writes stay in memory until they are flushed, and are gone if they are
//! not. It makes a forgotten flush of the initiator visible.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Backend, Extent};

/// Bytes of a cached page; a write to part of it takes the rest from the medium.
const PAGE: usize = 4096;
/// Most bytes that wait: a test that writes more sees its writes reach the medium early, as with
/// any real cache that is full.
const MAX_DIRTY_BYTES: usize = 256 * 1024 * 1024;

type Pages = BTreeMap<u64, Box<[u8; PAGE]>>;

/// A backend that keeps what was written since the last flush in memory only. Dropping it, like
/// killing its process, forgets that; so does [`VolatileCache::forget`].
#[derive(Debug)]
pub struct VolatileCache<B> {
    medium: B,
    /// Unflushed pages by page number.
    dirty: Mutex<Pages>,
}

impl<B: Backend> VolatileCache<B> {
    /// Puts a cache before `medium`.
    pub const fn new(medium: B) -> Self {
        Self {
            medium,
            dirty: Mutex::new(BTreeMap::new()),
        }
    }

    /// Forgets all writes that were not flushed, as a power failure would.
    pub fn forget(&self) {
        self.dirty().clear();
    }

    /// Bytes that a power failure would lose now, in whole pages.
    pub fn unflushed_bytes(&self) -> usize {
        self.dirty().len() * PAGE
    }

    fn dirty(&self) -> MutexGuard<'_, Pages> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of page `number` that lie on the medium: less than a page at its end.
    fn page_len(&self, number: u64) -> usize {
        let rest = self.medium.size().saturating_sub(number * PAGE as u64);
        usize::try_from(rest).unwrap_or(PAGE).min(PAGE)
    }

    /// Stores part of a page in the cache; `None` stores zeros.
    fn put(&self, dirty: &mut Pages, part: &Part, data: Option<&[u8]>) -> io::Result<()> {
        if let std::collections::btree_map::Entry::Vacant(slot) = dirty.entry(part.page) {
            let mut page = Box::new([0; PAGE]);
            if part.len < PAGE {
                let len = self.page_len(part.page);
                let bytes = page.get_mut(..len).unwrap_or_default();
                self.medium.read(part.page * PAGE as u64, bytes)?;
            }
            slot.insert(page);
        }
        let page = dirty.get_mut(&part.page);
        let to = page.and_then(|page| page.get_mut(part.start..part.start + part.len));
        match (to, data) {
            (Some(to), Some(data)) => to.copy_from_slice(data),
            (Some(to), None) => to.fill(0),
            (None, _) => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }

    /// Writes pages `from..to` to the medium and takes them out of the cache.
    fn write_back(&self, dirty: &mut Pages, from: u64, to: u64) -> io::Result<()> {
        while let Some((&number, page)) = dirty.range(from..to).next() {
            let bytes = page.get(..self.page_len(number)).unwrap_or_default();
            self.medium.write(number * PAGE as u64, bytes)?;
            dirty.remove(&number);
        }
        Ok(())
    }

    fn extent_of(&self, dirty: &Pages, offset: u64) -> io::Result<Extent> {
        let page = offset / PAGE as u64;
        if dirty.contains_key(&page) {
            let rest = self.medium.size().saturating_sub(offset).max(1);
            return Ok(Extent {
                len: ((page + 1) * PAGE as u64 - offset).min(rest),
                mapped: true,
            });
        }
        let extent = self.medium.extent(offset)?;
        // What waits in the cache ends the medium's extent.
        let next = dirty
            .range(page..)
            .next()
            .map(|(&number, _)| number * PAGE as u64 - offset);
        Ok(Extent {
            len: extent.len.min(next.unwrap_or(u64::MAX)),
            ..extent
        })
    }

    fn store(&self, offset: u64, len: u64, mut data: Option<&[u8]>) -> io::Result<()> {
        let mut dirty = self.dirty();
        for part in parts(offset, len) {
            let (now, later) = match data.map(|data| data.split_at_checked(part.len)) {
                Some(Some((now, later))) => (Some(now), Some(later)),
                _ => (None, None),
            };
            self.put(&mut dirty, &part, now)?;
            data = later;
        }
        if dirty.len() * PAGE > MAX_DIRTY_BYTES {
            self.write_back(&mut dirty, 0, u64::MAX)?;
        }
        Ok(())
    }
}

/// The part of one page that a range touches.
struct Part {
    page: u64,
    start: usize,
    len: usize,
}

fn parts(mut offset: u64, mut len: u64) -> impl Iterator<Item = Part> {
    std::iter::from_fn(move || {
        let page = offset / PAGE as u64;
        let start = usize::try_from(offset % PAGE as u64).ok()?;
        let part = (PAGE - start).min(usize::try_from(len).unwrap_or(PAGE));
        offset += part as u64;
        len -= part as u64;
        (part > 0).then_some(Part {
            page,
            start,
            len: part,
        })
    })
}

impl<B: Backend> Backend for VolatileCache<B> {
    fn size(&self) -> u64 {
        self.medium.size()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        // Held over both steps, so that no page moves to the medium in between.
        let dirty = self.dirty();
        self.medium.read(offset, buffer)?;
        let mut rest = buffer;
        for part in parts(offset, rest.len() as u64) {
            let Some((now, later)) = rest.split_at_mut_checked(part.len) else {
                break;
            };
            let page = dirty.get(&part.page);
            if let Some(page) = page.and_then(|p| p.get(part.start..part.start + part.len)) {
                now.copy_from_slice(page);
            }
            rest = later;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.store(offset, data.len() as u64, Some(data))
    }

    fn flush(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut dirty = self.dirty();
        let end = offset.saturating_add(len).div_ceil(PAGE as u64);
        self.write_back(&mut dirty, offset / PAGE as u64, end)?;
        self.medium.flush(offset, len)
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut dirty = self.dirty();
        let end = offset.saturating_add(len);
        let mut at = offset;
        while at < end {
            let extent = self.extent_of(&dirty, at)?;
            if extent.mapped {
                let Some(part) = parts(at, end - at).next() else {
                    break;
                };
                self.put(&mut dirty, &part, None)?;
                at += part.len as u64;
            } else {
                // It reads as zeros already.
                at += extent.len;
            }
            if dirty.len() * PAGE > MAX_DIRTY_BYTES {
                self.write_back(&mut dirty, 0, u64::MAX)?;
            }
        }
        Ok(())
    }

    fn extent(&self, offset: u64) -> io::Result<Extent> {
        self.extent_of(&self.dirty(), offset)
    }

    fn is_volatile(&self) -> bool {
        true
    }

    fn lose_power(&self) {
        self.forget();
        self.medium.lose_power();
    }

    fn may_block(&self) -> bool {
        self.medium.may_block()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RamBackend;

    fn cached() -> VolatileCache<RamBackend> {
        VolatileCache::new(RamBackend::new(64 * 1024 + 512).unwrap())
    }

    fn byte(disk: &dyn Backend, at: u64) -> u8 {
        let mut byte = [0xee];
        disk.read(at, &mut byte).unwrap();
        byte[0]
    }

    #[test]
    fn unflushed_writes_are_read_but_never_reach_the_medium() {
        let disk = cached();
        disk.write(4000, &[7; 200]).unwrap();
        assert_eq!(
            [byte(&disk, 3999), byte(&disk, 4000), byte(&disk, 4199)],
            [0, 7, 7]
        );
        assert_eq!(byte(&disk.medium, 4000), 0);
        assert_eq!(disk.unflushed_bytes(), 2 * PAGE);
        disk.forget();
        assert_eq!(byte(&disk, 4000), 0);
    }

    #[test]
    fn flushed_writes_stay_and_only_the_range_is_flushed() {
        let disk = cached();
        disk.write(0, &[1; 512]).unwrap();
        disk.write(8192, &[2; 512]).unwrap();
        disk.flush(0, 4096).unwrap();
        disk.forget();
        assert_eq!([byte(&disk, 0), byte(&disk, 8192)], [1, 0]);
    }

    #[test]
    fn the_last_page_may_be_short() {
        let disk = cached();
        disk.write(65536, &[4; 512]).unwrap();
        disk.flush(0, disk.size()).unwrap();
        assert_eq!(byte(&disk.medium, 65536 + 511), 4);
    }

    #[test]
    fn a_discard_waits_for_the_flush_too() {
        let disk = cached();
        disk.write(0, &[1; 8192]).unwrap();
        disk.flush(0, 8192).unwrap();
        disk.discard(100, 5000).unwrap();
        assert_eq!(
            [byte(&disk, 99), byte(&disk, 100), byte(&disk, 5100)],
            [1, 0, 1]
        );
        disk.forget();
        assert_eq!(byte(&disk, 100), 1);
    }

    #[test]
    fn extents_see_what_waits() {
        let disk = cached();
        disk.write(8192, &[1]).unwrap();
        assert_eq!(
            disk.extent(100).unwrap(),
            Extent {
                len: 8092,
                mapped: false
            }
        );
        assert_eq!(
            disk.extent(8192).unwrap(),
            Extent {
                len: 4096,
                mapped: true
            }
        );
    }
}
