//! Reservations: who may do what with a unit (SPC-4 §5.12; RESERVE (6) of SPC-2).

use hawser_scsi::cdb::reservation as pr;

use super::attention::{Attention, Attentions};
use super::nexus::Nexus;
use super::refusal::Refusal;

#[cfg(test)]
mod tests;

/// Most registrations a unit keeps; they outlive their sessions, so they need a bound of their own.
pub(super) const MAX_REGISTRATIONS: usize = 128;

/// What a command does, as far as reservations care (SPC-4 table 64, SBC-3 table 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Allowed to everybody always: INQUIRY, READ CAPACITY, ...
    Always,
    /// TEST UNIT READY: only RESERVE (6) of another nexus stands against it.
    Test,
    /// Reads the medium.
    Read,
    /// Changes the medium.
    Write,
    /// Steers the unit or asks for its settings: only for those whom the reservation includes.
    Steer,
    /// PERSISTENT RESERVE IN and OUT, which judge for themselves.
    Persistent,
    /// RESERVE (6) and RELEASE (6), which judge for themselves.
    Legacy,
}

/// The kinds of persistent reservation, by their type codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    /// The kind of a type code, if there is one.
    pub(super) const fn new(code: u8) -> Option<Self> {
        match code {
            pr::WRITE_EXCLUSIVE
            | pr::EXCLUSIVE_ACCESS
            | pr::WRITE_EXCLUSIVE_REGISTRANTS_ONLY
            | pr::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY
            | pr::WRITE_EXCLUSIVE_ALL_REGISTRANTS
            | pr::EXCLUSIVE_ACCESS_ALL_REGISTRANTS => Some(Self(code)),
            _ => None,
        }
    }

    pub(super) const fn code(self) -> u8 {
        self.0
    }

    /// Others may read.
    const fn lets_read(self) -> bool {
        matches!(
            self.0,
            pr::WRITE_EXCLUSIVE
                | pr::WRITE_EXCLUSIVE_REGISTRANTS_ONLY
                | pr::WRITE_EXCLUSIVE_ALL_REGISTRANTS
        )
    }

    /// Every registered nexus may do what the holder may.
    const fn includes_registrants(self) -> bool {
        !matches!(self.0, pr::WRITE_EXCLUSIVE | pr::EXCLUSIVE_ACCESS)
    }

    /// Every registered nexus is a holder.
    const fn all_registrants(self) -> bool {
        matches!(
            self.0,
            pr::WRITE_EXCLUSIVE_ALL_REGISTRANTS | pr::EXCLUSIVE_ACCESS_ALL_REGISTRANTS
        )
    }
}

/// A nexus with its reservation key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    pub(super) nexus: Nexus,
    pub(super) key: u64,
}

/// A persistent reservation. With "all registrants" types `nexus` does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    kind: Kind,
    nexus: Nexus,
}

/// The reservations of one unit.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    generation: u32,
    registrations: Vec<Registration>,
    held: Option<Held>,
    /// Holder of RESERVE (6).
    legacy: Option<Nexus>,
}

impl Reservations {
    /// Whether `nexus` may do `access` now.
    pub(super) fn allow(&self, nexus: &Nexus, access: Access) -> bool {
        if access == Access::Always {
            return true;
        }
        if let Some(holder) = &self.legacy
            && access != Access::Legacy
        {
            return holder == nexus && access != Access::Persistent;
        }
        let Some(held) = &self.held else { return true };
        let included = self.holds(nexus, held)
            || (held.kind.includes_registrants() && self.key_of(nexus).is_some());
        match access {
            Access::Read => included || held.kind.lets_read(),
            Access::Write | Access::Steer => included,
            Access::Always | Access::Test | Access::Persistent | Access::Legacy => true,
        }
    }

    /// RESERVE (6): refused while another holds it or anybody is registered (SPC-4 §5.12.3).
    pub(super) fn reserve_legacy(&mut self, nexus: &Nexus) -> Result<(), Refusal> {
        let taken = self.legacy.as_ref().is_some_and(|holder| holder != nexus);
        if taken || !self.registrations.is_empty() {
            return Err(Refusal::CONFLICT);
        }
        self.legacy = Some(nexus.clone());
        Ok(())
    }

    /// RELEASE (6): without effect for anybody but the holder.
    pub(super) fn release_legacy(&mut self, nexus: &Nexus) -> Result<(), Refusal> {
        if !self.registrations.is_empty() {
            return Err(Refusal::CONFLICT);
        }
        self.legacy.take_if(|holder| holder == nexus);
        Ok(())
    }

    pub(super) fn nexus_lost(&mut self, nexus: &Nexus) {
        self.legacy.take_if(|holder| holder == nexus);
    }

    pub(super) fn reset(&mut self) {
        self.legacy = None;
    }

    /// PRGENERATION.
    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    /// All registrations, in the order they came.
    pub(super) fn registrations(&self) -> &[Registration] {
        &self.registrations
    }

    /// The reservation as READ RESERVATION tells it: its key (0 for all registrants) and kind.
    pub(super) fn reservation(&self) -> Option<(u64, Kind)> {
        let held = self.held.as_ref()?;
        let key = match held.kind.all_registrants() {
            true => 0,
            false => self.key_of(&held.nexus).unwrap_or(0),
        };
        Some((key, held.kind))
    }

    /// The kind of the reservation that `nexus` holds.
    pub(super) fn kind_held_by(&self, nexus: &Nexus) -> Option<Kind> {
        self.held
            .as_ref()
            .filter(|held| self.holds(nexus, held))
            .map(|held| held.kind)
    }

    fn key_of(&self, nexus: &Nexus) -> Option<u64> {
        self.registrations
            .iter()
            .find(|r| r.nexus == *nexus)
            .map(|r| r.key)
    }

    fn holds(&self, nexus: &Nexus, held: &Held) -> bool {
        match held.kind.all_registrants() {
            true => self.key_of(nexus).is_some(),
            false => held.nexus == *nexus,
        }
    }

    /// REGISTER, or with `ignore` REGISTER AND IGNORE EXISTING KEY: a new key of 0 unregisters.
    pub(super) fn register(
        &mut self,
        nexus: &Nexus,
        ignore: bool,
        key: u64,
        new_key: u64,
        attentions: &mut Attentions,
    ) -> Result<(), Refusal> {
        let registered = self.key_of(nexus);
        if !ignore && key != registered.unwrap_or(0) {
            return Err(Refusal::CONFLICT);
        }
        match (registered, new_key) {
            (None, 0) => {}
            (None, _) if self.registrations.len() >= MAX_REGISTRATIONS => {
                return Err(Refusal::illegal(0x55, 0x04));
            }
            (None, key) => {
                self.registrations.push(Registration {
                    nexus: nexus.clone(),
                    key,
                });
            }
            (Some(_), 0) => self.unregister(nexus, attentions),
            (Some(_), key) => {
                let own = self.registrations.iter_mut().find(|r| r.nexus == *nexus);
                if let Some(own) = own {
                    own.key = key;
                }
            }
        }
        self.generation = self.generation.wrapping_add(1);
        Ok(())
    }

    /// Takes a registration away, and with its holder the reservation (SPC-4 §5.12.11.3).
    fn unregister(&mut self, nexus: &Nexus, attentions: &mut Attentions) {
        self.registrations.retain(|r| r.nexus != *nexus);
        let Some(held) = &self.held else { return };
        let kind = held.kind;
        let gone = match kind.all_registrants() {
            true => self.registrations.is_empty(),
            false => held.nexus == *nexus,
        };
        if gone {
            self.held = None;
            if kind.includes_registrants() {
                self.tell_registrants(nexus, Attention::ReservationsReleased, attentions);
            }
        }
    }

    /// RESERVE.
    pub(super) fn reserve(&mut self, nexus: &Nexus, key: u64, kind: Kind) -> Result<(), Refusal> {
        self.check_key(nexus, key)?;
        match &self.held {
            Some(held) if held.kind == kind && self.holds(nexus, held) => Ok(()),
            Some(_) => Err(Refusal::CONFLICT),
            None => {
                self.held = Some(Held {
                    kind,
                    nexus: nexus.clone(),
                });
                Ok(())
            }
        }
    }

    /// RELEASE: without effect for anybody but a holder, who must name the kind it holds.
    pub(super) fn release(
        &mut self,
        nexus: &Nexus,
        key: u64,
        kind: Option<Kind>,
        attentions: &mut Attentions,
    ) -> Result<(), Refusal> {
        self.check_key(nexus, key)?;
        let Some(held_kind) = self.kind_held_by(nexus) else {
            return Ok(());
        };
        if Some(held_kind) != kind {
            return Err(Refusal::illegal(0x26, 0x04));
        }
        self.held = None;
        if held_kind.includes_registrants() {
            self.tell_registrants(nexus, Attention::ReservationsReleased, attentions);
        }
        Ok(())
    }

    /// CLEAR: no registration and no reservation is left.
    pub(super) fn clear(
        &mut self,
        nexus: &Nexus,
        key: u64,
        attentions: &mut Attentions,
    ) -> Result<(), Refusal> {
        self.check_key(nexus, key)?;
        self.tell_registrants(nexus, Attention::ReservationsPreempted, attentions);
        self.registrations.clear();
        self.held = None;
        self.generation = self.generation.wrapping_add(1);
        Ok(())
    }

    /// PREEMPT (SPC-4 §5.12.11.4): registrations with the key `victim` go, and with the key of the
    /// holder (0 for all registrants) the reservation becomes ours. No task of the victims can be
    /// running when this is judged, so PREEMPT AND ABORT is the same.
    pub(super) fn preempt(
        &mut self,
        nexus: &Nexus,
        key: u64,
        victim: u64,
        kind: Option<Kind>,
        attentions: &mut Attentions,
    ) -> Result<(), Refusal> {
        self.check_key(nexus, key)?;
        let held = self.reservation();
        let takes_over = held.is_some_and(|(holder_key, _)| holder_key == victim);
        if victim == 0 && !takes_over {
            return Err(Refusal::parameter_field(8));
        }
        let everybody = takes_over && victim == 0;
        let hit = |r: &Registration| everybody || r.key == victim;
        if !self.registrations.iter().any(hit) {
            return Err(Refusal::CONFLICT);
        }
        let kind = match (takes_over, kind) {
            (true, None) => return Err(Refusal::cdb_field(2)),
            (_, kind) => kind,
        };
        for gone in self
            .registrations
            .iter()
            .filter(|r| hit(r) && r.nexus != *nexus)
        {
            attentions.tell(&gone.nexus, Attention::RegistrationsPreempted);
        }
        // Who takes the reservation over keeps its own registration.
        self.registrations
            .retain(|r| !hit(r) || (takes_over && r.nexus == *nexus));
        if let (true, Some(kind)) = (takes_over, kind) {
            if held.is_some_and(|(_, old)| old != kind) {
                self.tell_registrants(nexus, Attention::ReservationsReleased, attentions);
            }
            self.held = Some(Held {
                kind,
                nexus: nexus.clone(),
            });
        } else if self.registrations.is_empty() {
            self.held = None;
        }
        self.generation = self.generation.wrapping_add(1);
        Ok(())
    }

    fn check_key(&self, nexus: &Nexus, key: u64) -> Result<(), Refusal> {
        match self.key_of(nexus) {
            Some(registered) if registered == key => Ok(()),
            _ => Err(Refusal::CONFLICT),
        }
    }

    fn tell_registrants(&self, except: &Nexus, news: Attention, attentions: &mut Attentions) {
        for other in self.registrations.iter().filter(|r| r.nexus != *except) {
            attentions.tell(&other.nexus, news);
        }
    }
}
