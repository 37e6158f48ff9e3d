//! Which bytes of a read came, where they come in any order (RFC 7143 §13.18, §13.19) or more than once.

/// Pieces that are told apart in one read. In sequences of any order there is one for each MaxBurstLength, so a
/// target that makes more of them is not served.
const MAX_PIECES: usize = 1024;

/// Bytes from `begin` up to, but not with, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    begin: u32,
    end: u32,
}

/// The bytes that came, as pieces in rising order that do not touch.
#[derive(Debug, Clone, Default)]
pub(super) struct Coverage(Vec<Piece>);

/// There are more pieces than are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyPieces;

impl Coverage {
    /// All bytes before `end` came.
    pub(super) fn up_to(end: u32) -> Self {
        let whole = Piece { begin: 0, end };
        Self((end > 0).then_some(whole).into_iter().collect())
    }

    /// The bytes from `begin` up to, but not with, `end` came.
    pub(super) fn add(&mut self, begin: u32, end: u32) -> Result<(), TooManyPieces> {
        if begin >= end {
            return Ok(());
        }
        let from = self.0.partition_point(|piece| piece.end < begin);
        let to = self.0.partition_point(|piece| piece.begin <= end);
        let touched = self.0.get(from..to).unwrap_or_default();
        let joined = touched
            .iter()
            .fold(Piece { begin, end }, |joined, piece| Piece {
                begin: joined.begin.min(piece.begin),
                end: joined.end.max(piece.end),
            });
        if touched.is_empty() && self.0.len() >= MAX_PIECES {
            return Err(TooManyPieces);
        }
        self.0.splice(from..to, [joined]);
        Ok(())
    }

    /// How many bytes came.
    pub(super) fn total(&self) -> u32 {
        self.0.iter().map(|piece| piece.end - piece.begin).sum()
    }

    /// There is no hole before the last byte that came.
    pub(super) fn is_whole(&self) -> bool {
        match self.0.as_slice() {
            [] => true,
            [only] => only.begin == 0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_have_a_limit() {
        let mut coverage = Coverage::default();
        let added = (0..2000).filter(|at| coverage.add(2 * at, 2 * at + 1).is_ok());
        assert_eq!(added.count(), MAX_PIECES);
        // What joins others needs no room.
        coverage.add(0, 100).unwrap();
        assert!(!coverage.is_whole());
    }

    proptest! {
        #[test]
        fn it_covers_what_was_added_and_nothing_else(
            start in 0_u32..20,
            pieces in prop::collection::vec((0_u32..200, 0_u32..30), 0..40),
        ) {
            let mut coverage = Coverage::up_to(start);
            let mut bytes = [false; 256];
            bytes[..start as usize].fill(true);
            for (begin, length) in pieces {
                coverage.add(begin, begin + length).unwrap();
                bytes[begin as usize..(begin + length) as usize].fill(true);
            }
            let count = bytes.iter().filter(|&&came| came).count();
            prop_assert_eq!(coverage.total() as usize, count);
            prop_assert_eq!(coverage.is_whole(), bytes[..count].iter().all(|&came| came));
            prop_assert!(coverage.0.windows(2).all(|pair| pair[0].end < pair[1].begin));
        }
    }
}
