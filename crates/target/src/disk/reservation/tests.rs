//! The rules of persistent reservations that need more than two nexuses or a look inside.

use super::*;

struct Rig {
    reservations: Reservations,
    attentions: Attentions,
    nexuses: [Nexus; 3],
}

/// The keys of the three nexuses.
const KEYS: [u64; 3] = [1, 2, 3];

impl Rig {
    /// Three registered nexuses; the first holds a reservation of `kind`.
    fn new(kind: u8) -> Self {
        let nexuses = [1, 2, 3].map(|n| Nexus::new("iqn.x", [n; 6], 1));
        let mut rig = Self {
            reservations: Reservations::default(),
            attentions: Attentions::default(),
            nexuses,
        };
        for (nexus, key) in rig.nexuses.iter().zip(KEYS) {
            rig.attentions.nexus_started(nexus);
            rig.attentions.take(nexus);
            rig.reservations
                .register(nexus, false, 0, key, &mut rig.attentions)
                .unwrap();
        }
        rig.reservations
            .reserve(&rig.nexuses[0], 1, Kind::new(kind).unwrap())
            .unwrap();
        rig
    }

    fn preempt(&mut self, who: usize, victim: u64, kind: u8) -> Result<(), Refusal> {
        let nexus = &self.nexuses[who];
        self.reservations.preempt(
            nexus,
            KEYS[who],
            victim,
            Kind::new(kind),
            &mut self.attentions,
        )
    }

    fn unregister(&mut self, who: usize) {
        let nexus = &self.nexuses[who];
        self.reservations
            .register(nexus, false, KEYS[who], 0, &mut self.attentions)
            .unwrap();
    }

    fn keys(&self) -> Vec<u64> {
        self.reservations
            .registrations()
            .iter()
            .map(|r| r.key)
            .collect()
    }

    fn held(&self) -> Option<(u64, u8)> {
        self.reservations
            .reservation()
            .map(|(key, kind)| (key, kind.code()))
    }

    fn news(&mut self) -> [Option<Attention>; 3] {
        [0, 1, 2].map(|i| self.attentions.take(&self.nexuses[i]))
    }
}

#[test]
fn registering_needs_the_right_key() {
    let mut rig = Rig::new(pr::WRITE_EXCLUSIVE);
    let [a, ..] = rig.nexuses.clone();
    let new = Nexus::new("iqn.new", [0; 6], 1);
    let mut register = |nexus: &Nexus, ignore, key, new_key| {
        rig.reservations
            .register(nexus, ignore, key, new_key, &mut rig.attentions)
    };
    assert_eq!(register(&a, false, 9, 10), Err(Refusal::CONFLICT));
    assert_eq!(register(&new, false, 9, 10), Err(Refusal::CONFLICT));
    assert_eq!(register(&a, false, 1, 10), Ok(()));
    assert_eq!(register(&a, true, 99, 11), Ok(()));
    assert_eq!(
        register(&new, false, 0, 0),
        Ok(()),
        "nothing is registered by key 0"
    );
    assert_eq!(rig.keys(), [11, 2, 3]);
    assert_eq!(
        rig.held(),
        Some((11, pr::WRITE_EXCLUSIVE)),
        "the new key is the holder's"
    );
    assert_eq!(rig.reservations.generation(), 6);
}

#[test]
fn registrations_are_bounded() {
    let mut rig = Rig::new(pr::WRITE_EXCLUSIVE);
    for n in 3..MAX_REGISTRATIONS {
        let nexus = Nexus::new(&format!("iqn.{n}"), [0; 6], 1);
        rig.reservations
            .register(&nexus, false, 0, 9, &mut rig.attentions)
            .unwrap();
    }
    let last = Nexus::new("iqn.last", [0; 6], 1);
    let refused = rig
        .reservations
        .register(&last, false, 0, 9, &mut rig.attentions);
    assert_eq!(refused, Err(Refusal::illegal(0x55, 0x04)));
}

#[test]
fn the_holder_takes_its_reservation_along() {
    let mut rig = Rig::new(pr::WRITE_EXCLUSIVE);
    rig.unregister(0);
    assert_eq!(rig.held(), None);
    assert_eq!(rig.news(), [None; 3], "only registrants types tell");

    let mut rig = Rig::new(pr::WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
    rig.unregister(0);
    assert_eq!(rig.held(), None);
    let released = Some(Attention::ReservationsReleased);
    assert_eq!(rig.news(), [None, released, released]);

    let mut rig = Rig::new(pr::WRITE_EXCLUSIVE_ALL_REGISTRANTS);
    rig.unregister(0);
    rig.unregister(1);
    assert_eq!(rig.held(), Some((0, pr::WRITE_EXCLUSIVE_ALL_REGISTRANTS)));
    rig.unregister(2);
    assert_eq!(rig.held(), None);
}

#[test]
fn reserve_is_for_the_registered_and_only_once() {
    let mut rig = Rig::new(pr::EXCLUSIVE_ACCESS);
    let [a, b, _] = rig.nexuses.clone();
    let (same, other) = (Kind::new(3).unwrap(), Kind::new(1).unwrap());
    assert_eq!(
        rig.reservations.reserve(&a, 1, same),
        Ok(()),
        "asking twice"
    );
    assert_eq!(
        rig.reservations.reserve(&a, 1, other),
        Err(Refusal::CONFLICT)
    );
    assert_eq!(
        rig.reservations.reserve(&b, 2, same),
        Err(Refusal::CONFLICT)
    );
    assert_eq!(
        rig.reservations.reserve(&b, 9, same),
        Err(Refusal::CONFLICT),
        "wrong key"
    );
}

#[test]
fn release_is_for_the_holder() {
    let mut rig = Rig::new(pr::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY);
    let [a, b, _] = rig.nexuses.clone();
    let kind = Kind::new(pr::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY);
    let mut release = |nexus: &Nexus, key, kind| {
        rig.reservations
            .release(nexus, key, kind, &mut rig.attentions)
    };
    assert_eq!(release(&b, 2, kind), Ok(()), "no holder, no effect");
    assert_eq!(release(&a, 9, kind), Err(Refusal::CONFLICT));
    assert_eq!(
        release(&a, 1, Kind::new(1)),
        Err(Refusal::illegal(0x26, 0x04))
    );
    assert_eq!(release(&a, 1, kind), Ok(()));
    assert_eq!(rig.held(), None);
    let released = Some(Attention::ReservationsReleased);
    assert_eq!(rig.news(), [None, released, released]);
    assert_eq!(rig.keys(), KEYS);
}

#[test]
fn clear_leaves_nothing() {
    let mut rig = Rig::new(pr::EXCLUSIVE_ACCESS);
    let b = rig.nexuses[1].clone();
    rig.reservations.clear(&b, 2, &mut rig.attentions).unwrap();
    assert_eq!((rig.keys(), rig.held()), (vec![], None));
    let preempted = Some(Attention::ReservationsPreempted);
    assert_eq!(rig.news(), [preempted, None, preempted]);
}

#[test]
fn preempting_the_holder_takes_the_reservation_over() {
    let mut rig = Rig::new(pr::WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
    rig.preempt(1, 1, pr::EXCLUSIVE_ACCESS).unwrap();
    assert_eq!(rig.keys(), [2, 3]);
    assert_eq!(rig.held(), Some((2, pr::EXCLUSIVE_ACCESS)));
    let (gone, released) = (
        Attention::RegistrationsPreempted,
        Attention::ReservationsReleased,
    );
    assert_eq!(rig.news(), [Some(gone), None, Some(released)]);
}

#[test]
fn preempting_another_leaves_the_reservation() {
    let mut rig = Rig::new(pr::WRITE_EXCLUSIVE);
    rig.preempt(1, 3, pr::EXCLUSIVE_ACCESS).unwrap();
    assert_eq!(rig.keys(), [1, 2]);
    assert_eq!(rig.held(), Some((1, pr::WRITE_EXCLUSIVE)));
    assert_eq!(
        rig.news(),
        [None, None, Some(Attention::RegistrationsPreempted)]
    );
    assert_eq!(
        rig.preempt(1, 77, pr::EXCLUSIVE_ACCESS),
        Err(Refusal::CONFLICT)
    );
    assert_eq!(
        rig.preempt(1, 0, pr::EXCLUSIVE_ACCESS),
        Err(Refusal::parameter_field(8))
    );
    assert_eq!(
        rig.preempt(1, 1, 0x0f),
        Err(Refusal::cdb_field(2)),
        "no such type"
    );
}

#[test]
fn preempting_all_registrants_with_key_0_takes_everything() {
    let mut rig = Rig::new(pr::EXCLUSIVE_ACCESS_ALL_REGISTRANTS);
    assert_eq!(rig.held(), Some((0, pr::EXCLUSIVE_ACCESS_ALL_REGISTRANTS)));
    rig.preempt(2, 0, pr::WRITE_EXCLUSIVE).unwrap();
    assert_eq!(
        (rig.keys(), rig.held()),
        (vec![3], Some((3, pr::WRITE_EXCLUSIVE)))
    );
    let gone = Some(Attention::RegistrationsPreempted);
    assert_eq!(rig.news(), [gone, gone, None]);
}
