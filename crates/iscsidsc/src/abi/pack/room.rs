//! The caller's memory that a report goes to, and the rules by which its size is told (§1.3).

use hawser_api::Status;

use super::Image;
use crate::abi::strings::Unit;

/// One value of the caller's that is written, and sometimes read: a size, a count, an id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<T>(*mut T);

impl<T: Copy> Place<T> {
    /// The place at `pointer`; NULL is `ERROR_INVALID_PARAMETER`. It need not be aligned.
    ///
    /// # Safety
    /// A pointer that is not NULL leads to a `T` that can be read and written as long as the place is used.
    pub(crate) unsafe fn at(pointer: *mut T) -> Result<Self, Status> {
        if pointer.is_null() {
            return Err(Status::ERROR_INVALID_PARAMETER);
        }
        Ok(Self(pointer))
    }

    /// What stands there.
    pub(crate) fn get(self) -> T {
        // SAFETY: who made the place vouched for it.
        unsafe { self.0.read_unaligned() }
    }

    /// Writes `value` there.
    pub(crate) fn set(self, value: T) {
        // SAFETY: who made the place vouched for it.
        unsafe { self.0.write_unaligned(value) };
    }
}

/// What the caller is told of a list that is empty (§1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// Two NULs, for which there must be room: Microsoft's client takes a success for NULL to mean that its NULL is
    /// a list.
    IsTwoNuls,
    /// Success with the size 0, also for NULL. A buffer gets up to two NULs all the same, so that a caller who looks at
    /// the buffer and not at the size finds an empty list.
    IsSizeZero,
}

/// A caller's buffer and the place of its size, which is its capacity before and its use, or need, afterwards.
#[derive(Debug)]
pub(crate) struct Room {
    pub(super) size: Place<u32>,
    pub(super) buffer: *mut u8,
    /// How many bytes the size counts as one: those of a character, a byte or an element.
    pub(super) unit: usize,
}

impl Room {
    /// A buffer whose size is counted in elements `T` of it. A NULL buffer has no room, whatever its size says; a NULL size
    /// is `ERROR_INVALID_PARAMETER`.
    ///
    /// # Safety
    /// `size` is as for [`Place::at`]. A buffer that is not NULL has `*size` elements that can be written, or as many as
    /// the report needs, whichever is less. Neither need be aligned.
    pub(crate) unsafe fn of_elements<T>(size: *mut u32, buffer: *mut T) -> Result<Self, Status> {
        Ok(Self {
            // SAFETY: the caller vouches for it.
            size: unsafe { Place::at(size) }?,
            buffer: buffer.cast(),
            unit: size_of::<T>(),
        })
    }

    /// A buffer whose size is counted in bytes.
    ///
    /// # Safety
    /// As [`Room::of_elements`], with bytes for elements.
    pub(crate) unsafe fn of_bytes<T>(size: *mut u32, buffer: *mut T) -> Result<Self, Status> {
        // SAFETY: the caller vouches for it.
        unsafe { Self::of_elements(size, buffer.cast::<u8>()) }
    }

    /// How many bytes the caller has room for.
    fn capacity(&self) -> usize {
        if self.buffer.is_null() {
            return 0;
        }
        usize::try_from(self.size.get())
            .unwrap_or(usize::MAX)
            .saturating_mul(self.unit)
    }

    /// Hands over a report: all of it and its size; or, if it does not fit, its size and `ERROR_INSUFFICIENT_BUFFER`.
    pub(crate) fn take(&self, report: &Image) -> Result<(), Status> {
        let size =
            u32::try_from(report.len() / self.unit).map_err(|_| Status::ERROR_NOT_ENOUGH_MEMORY)?;
        let fits = report.len() <= self.capacity();
        self.size.set(size);
        if !fits {
            return Err(Status::ERROR_INSUFFICIENT_BUFFER);
        }
        if report.len() > 0 {
            // SAFETY: it fits, so the buffer is not NULL, and who made the room vouched for its size.
            unsafe { report.copy_to(self.buffer) };
        }
        Ok(())
    }

    /// Hands over a report and, whether or not it fits, how many elements it has.
    pub(crate) fn take_counted(
        &self,
        report: &Image,
        count: Place<u32>,
        elements: usize,
    ) -> Result<(), Status> {
        count.set(u32::try_from(elements).map_err(|_| Status::ERROR_NOT_ENOUGH_MEMORY)?);
        self.take(report)
    }

    /// Hands over a list of texts.
    pub(crate) fn take_list<C: Unit>(
        &self,
        list: &[String],
        nothing: Nothing,
    ) -> Result<(), Status> {
        let mut report = Image::default();
        report.multi_sz::<C>(list);
        let is_empty = report.len() == 2 * size_of::<C>();
        if is_empty && nothing == Nothing::IsSizeZero {
            report = Image::default();
            report.gap(self.capacity().min(2 * size_of::<C>()));
            self.take(&report)?;
            self.size.set(0);
            return Ok(());
        }
        self.take(&report)
    }

    /// Hands over a report that may be missing (`GetIScsiTargetInformation`): then a buffer is told the size 0, and
    /// NULL that it needs room, because Microsoft's client goes on with its last buffer after a success there (§1.3).
    pub(crate) fn take_or_nothing(&self, report: Option<&Image>) -> Result<(), Status> {
        match report {
            Some(report) => self.take(report),
            None if self.buffer.is_null() => {
                self.size.set(4);
                Err(Status::ERROR_INSUFFICIENT_BUFFER)
            }
            None => {
                self.size.set(0);
                Ok(())
            }
        }
    }

    /// Hands over sense data (§2.6): what fits, filled up with zeros to 18 bytes. The size is that of the sense data,
    /// never less than 18, and never more than a buffer of 18 bytes or more has.
    pub(crate) fn take_sense(&self, sense: &[u8]) {
        const LEAST: usize = 18;
        let capacity = self.capacity();
        let full = sense.len().max(LEAST);
        let mut report = Image::default();
        report.blob(&sense[..sense.len().min(capacity)]);
        report.gap(LEAST.min(capacity).saturating_sub(report.len()));
        let told = if self.buffer.is_null() {
            full
        } else {
            full.min(capacity.max(LEAST))
        };
        self.size.set(u32::try_from(told).unwrap_or(u32::MAX));
        if report.len() > 0 {
            // SAFETY: it is no longer than the capacity, which is 0 for NULL; who made the room vouched for its size.
            unsafe { report.copy_to(self.buffer) };
        }
    }

    /// Tells the size only (§2.6: no sense data, no response).
    pub(crate) fn tell(&self, size: u32) {
        self.size.set(size);
    }
}
