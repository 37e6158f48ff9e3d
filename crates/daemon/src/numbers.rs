//! The numbers by which the operating system's side knows targets, LUNs and devices: bus, target, LUN, and
//! the number of a device. The Discovery Library reports them. They are given at first sight and stay for as
//! long as the session lives, across reconnects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hawser_api::{Failure, Status};
use hawser_store::{LunMapping, TargetMapping};

/// Number of our one adapter.
pub(crate) const ADAPTER: u32 = 0;
/// Largest bus and target number: they are bytes in the Discovery Library's SCSI_ADDRESS.
pub(crate) const MAX_PLACE: u32 = u8::MAX as u32;
/// First number of a LUN that has none of its own: above all that a LUN can be called by (14 bits).
const FIRST_FREE_LUN: u32 = 1 << 14;

/// Name of the adapter's device, in the form that the Discovery Library has it.
pub(crate) fn adapter_device() -> String {
    format!("\\\\.\\Scsi{ADAPTER}:")
}

/// Bus and target of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Bus.
    pub(crate) bus: u32,
    /// Target on it.
    pub(crate) target: u32,
}

/// Numbers of a LUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LunNumbers {
    /// The LUN on the operating system's side.
    pub(crate) os_lun: u32,
    /// The number of its device, among those of all sessions.
    pub(crate) device: u32,
}

/// The numbers of all sessions, by the half of their id that names them.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    seats: Mutex<BTreeMap<u64, Seat>>,
}

/// The numbers of one session.
#[derive(Debug)]
struct Seat {
    place: Place,
    wanted: Vec<LunMapping>,
    luns: BTreeMap<u64, LunNumbers>,
}

impl Numbers {
    fn seats(&self) -> MutexGuard<'_, BTreeMap<u64, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a mapping whose bus and target another session has.
    pub(crate) fn check(&self, mapping: Option<&TargetMapping>) -> Result<(), Failure> {
        let Some(mapping) = mapping else {
            return Ok(());
        };
        if free_place(&self.seats(), mapping).is_some() {
            return Ok(());
        }
        let part = |number: Option<u32>| number.map_or("any".to_owned(), |n| n.to_string());
        let message = format!(
            "bus {}, target {} belongs to another session",
            part(mapping.os_bus_number),
            part(mapping.os_target_number)
        );
        Err(Failure::new(Status::TARGET_MAPPING_UNAVAILABLE, message)
            .with_advice("choose other numbers, or leave them open"))
    }

    /// Gives a session its place: the one that its mapping asks for if that is free, else the first free
    /// one.
    pub(crate) fn seat(&self, session: u64, mapping: Option<&TargetMapping>) {
        let mut seats = self.seats();
        let place = mapping
            .and_then(|mapping| free_place(&seats, mapping))
            .or_else(|| free_place(&seats, &TargetMapping::default()));
        let seat = Seat {
            // There are more places than a daemon may have sessions; a full house shares the last one.
            place: place.unwrap_or(Place {
                bus: MAX_PLACE,
                target: MAX_PLACE,
            }),
            wanted: mapping.map_or(Vec::new(), |mapping| mapping.luns.clone()),
            luns: BTreeMap::new(),
        };
        seats.insert(session, seat);
    }

    /// A session has ended: its numbers are free.
    pub(crate) fn leave(&self, session: u64) {
        self.seats().remove(&session);
    }

    /// Bus and target of a session; `None` if it has none: it is informational, or has ended.
    pub(crate) fn place(&self, session: u64) -> Option<Place> {
        self.seats().get(&session).map(|seat| seat.place)
    }

    /// The numbers of a LUN, given at first sight. `own` is the number that people write for it.
    pub(crate) fn lun(&self, session: u64, lun: u64, own: Option<u64>) -> Option<LunNumbers> {
        let mut seats = self.seats();
        let known = seats.get(&session)?.luns.get(&lun).copied();
        if known.is_some() {
            return known;
        }
        let used: BTreeSet<u32> = seats
            .values()
            .flat_map(|seat| seat.luns.values().map(|numbers| numbers.device))
            .collect();
        let device = first_free(0, &used);
        let seat = seats.get_mut(&session)?;
        let os_lun = seat.os_lun(lun, own);
        let numbers = LunNumbers { os_lun, device };
        seat.luns.insert(lun, numbers);
        Some(numbers)
    }
}

impl Seat {
    /// As the mapping says, else the LUN's own number, else a free one. No two LUNs get the same.
    fn os_lun(&self, lun: u64, own: Option<u64>) -> u32 {
        let mut used: BTreeSet<u32> = self.luns.values().map(|numbers| numbers.os_lun).collect();
        let mapped = self.wanted.iter().find(|mapped| mapped.lun == lun);
        if let Some(mapped) = mapped.filter(|mapped| !used.contains(&mapped.os_lun)) {
            return mapped.os_lun;
        }
        // What is promised to another LUN is not given away.
        used.extend(self.wanted.iter().map(|mapped| mapped.os_lun));
        let own = own.and_then(|own| u32::try_from(own).ok());
        own.filter(|own| !used.contains(own))
            .unwrap_or_else(|| first_free(FIRST_FREE_LUN, &used))
    }
}

/// The first number from `first` on that is not used.
fn first_free(first: u32, used: &BTreeSet<u32>) -> u32 {
    let mut free = first;
    for taken in used.range(first..) {
        if *taken != free {
            break;
        }
        free += 1;
    }
    free
}

/// The first place that a mapping allows and nobody has.
fn free_place(seats: &BTreeMap<u64, Seat>, mapping: &TargetMapping) -> Option<Place> {
    let taken: BTreeSet<Place> = seats.values().map(|seat| seat.place).collect();
    let range = |wanted: Option<u32>| match wanted {
        Some(number) => number..=number,
        None => 0..=MAX_PLACE,
    };
    let buses = range(mapping.os_bus_number);
    let places = buses.flat_map(|bus| {
        let targets = range(mapping.os_target_number);
        targets.map(move |target| Place { bus, target })
    });
    places.into_iter().find(|place| !taken.contains(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(bus: Option<u32>, target: Option<u32>, luns: &[(u32, u64)]) -> TargetMapping {
        let luns = luns.iter();
        TargetMapping {
            os_bus_number: bus,
            os_target_number: target,
            luns: luns
                .map(|&(os_lun, lun)| LunMapping { os_lun, lun })
                .collect(),
        }
    }

    #[test]
    fn places_are_given_once_and_are_free_again_after_the_session() {
        let numbers = Numbers::default();
        for session in 1..=300 {
            numbers.seat(session, None);
        }
        let place = |session| {
            numbers
                .place(session)
                .map(|place| (place.bus, place.target))
        };
        assert_eq!(place(1), Some((0, 0)));
        assert_eq!(place(256), Some((0, 255)));
        assert_eq!(place(257), Some((1, 0)), "a target number is a byte");
        numbers.leave(2);
        assert_eq!(place(2), None);
        numbers.seat(301, None);
        assert_eq!(place(301), Some((0, 1)));
        assert_eq!(numbers.lun(2, 0, Some(0)), None);
    }

    #[test]
    fn what_a_mapping_asks_for_is_given_or_refused() {
        let numbers = Numbers::default();
        let wanted = mapping(Some(3), Some(7), &[]);
        numbers.check(Some(&wanted)).unwrap();
        numbers.seat(1, Some(&wanted));
        assert_eq!(numbers.place(1), Some(Place { bus: 3, target: 7 }));
        let refused = numbers.check(Some(&wanted)).unwrap_err();
        assert_eq!(refused.status, Status::TARGET_MAPPING_UNAVAILABLE);
        // A stored login is made all the same.
        numbers.seat(2, Some(&wanted));
        assert_eq!(numbers.place(2), Some(Place { bus: 0, target: 0 }));
        let any_bus = mapping(None, Some(0), &[]);
        numbers.check(Some(&any_bus)).unwrap();
        numbers.seat(3, Some(&any_bus));
        assert_eq!(numbers.place(3), Some(Place { bus: 1, target: 0 }));
    }

    #[test]
    fn luns_keep_their_numbers_and_no_two_have_the_same() {
        let numbers = Numbers::default();
        numbers.seat(1, Some(&mapping(None, None, &[(0, 5 << 48)])));
        numbers.seat(2, None);
        let os = |session, lun, own| numbers.lun(session, lun, own).unwrap();
        let first = os(1, 0, Some(0));
        assert_eq!(first.os_lun, FIRST_FREE_LUN, "0 is promised to LUN 5");
        assert_eq!(os(1, 5 << 48, Some(5)).os_lun, 0);
        assert_eq!(os(1, 1 << 48, Some(1)).os_lun, 1);
        assert_eq!(os(1, 0x4001 << 48, Some(1)).os_lun, FIRST_FREE_LUN + 1);
        assert_eq!(os(1, 0, Some(0)), first);
        assert_eq!(
            os(2, 0, Some(0)),
            LunNumbers {
                os_lun: 0,
                device: 4
            }
        );
        numbers.leave(1);
        assert_eq!(os(2, 1 << 48, None).device, 0, "the first free one");
    }
}
