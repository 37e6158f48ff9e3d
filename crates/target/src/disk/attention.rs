//! Unit attentions: news that each nexus must hear once before its next command (SAM-5 §5.14).

use std::collections::{BTreeMap, BTreeSet};

use hawser_scsi::{Sense, SenseKey};

use super::nexus::Nexus;

/// A piece of news; the order is the order in which a nexus hears them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attention {
    PowerOn,
    Reset,
    ReservationsPreempted,
    ReservationsReleased,
    RegistrationsPreempted,
    ModeParametersChanged,
    CapacityChanged,
    ReportedLunsChanged,
    CommandsCleared,
}

impl Attention {
    pub(super) const fn sense(self) -> Sense {
        let (asc, ascq) = match self {
            Self::PowerOn => (0x29, 0x00),
            Self::Reset => (0x29, 0x03),
            Self::ReservationsPreempted => (0x2a, 0x03),
            Self::ReservationsReleased => (0x2a, 0x04),
            Self::RegistrationsPreempted => (0x2a, 0x05),
            Self::ModeParametersChanged => (0x2a, 0x01),
            Self::CapacityChanged => (0x2a, 0x09),
            Self::ReportedLunsChanged => (0x3f, 0x0e),
            Self::CommandsCleared => (0x47, 0x7f),
        };
        Sense::new(SenseKey::UnitAttention, asc, ascq)
    }
}

/// The nexuses that are there, and what each has not heard yet. A nexus is here from its start to
/// its loss, so their number is that of the sessions; each kind of news waits once at most.
#[derive(Debug, Default)]
pub(super) struct Attentions(BTreeMap<Nexus, BTreeSet<Attention>>);

impl Attentions {
    /// A nexus begins: to it the unit was just switched on.
    pub(super) fn nexus_started(&mut self, nexus: &Nexus) {
        self.0
            .insert(nexus.clone(), BTreeSet::from([Attention::PowerOn]));
    }

    pub(super) fn nexus_lost(&mut self, nexus: &Nexus) {
        self.0.remove(nexus);
    }

    /// Tells one nexus, if it is there.
    pub(super) fn tell(&mut self, nexus: &Nexus, news: Attention) {
        if let Some(waiting) = self.0.get_mut(nexus) {
            waiting.insert(news);
        }
    }

    /// Tells all nexuses but `except`.
    pub(super) fn tell_others(&mut self, except: Option<&Nexus>, news: Attention) {
        for (nexus, waiting) in &mut self.0 {
            if Some(nexus) != except {
                waiting.insert(news);
            }
        }
    }

    /// `nexus` has learnt this in another way.
    pub(super) fn forget(&mut self, nexus: &Nexus, news: Attention) {
        if let Some(waiting) = self.0.get_mut(nexus) {
            waiting.remove(&news);
        }
    }

    /// A reset: older news no longer count.
    pub(super) fn reset(&mut self) {
        for waiting in self.0.values_mut() {
            *waiting = BTreeSet::from([Attention::Reset]);
        }
    }

    /// How many pieces of news wait for `nexus`, and the first.
    pub(super) fn waiting(&self, nexus: &Nexus) -> Option<(usize, Attention)> {
        let waiting = self.0.get(nexus)?;
        Some((waiting.len(), *waiting.first()?))
    }

    /// Takes what `nexus` must hear next.
    pub(super) fn take(&mut self, nexus: &Nexus) -> Option<Attention> {
        self.0.get_mut(nexus)?.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nexus_hears_each_thing_once_and_in_order() {
        let (a, b) = (
            Nexus::new("iqn.a", [0; 6], 1),
            Nexus::new("iqn.a", [1; 6], 1),
        );
        let mut attentions = Attentions::default();
        attentions.nexus_started(&a);
        attentions.nexus_started(&b);
        attentions.tell_others(Some(&a), Attention::CapacityChanged);
        attentions.tell(&b, Attention::ReservationsPreempted);
        attentions.tell(&b, Attention::ReservationsPreempted);
        assert_eq!(attentions.take(&a), Some(Attention::PowerOn));
        assert_eq!(attentions.take(&a), None);
        assert_eq!(attentions.take(&b), Some(Attention::PowerOn));
        assert_eq!(attentions.take(&b), Some(Attention::ReservationsPreempted));
        assert_eq!(attentions.take(&b), Some(Attention::CapacityChanged));
        assert_eq!(attentions.take(&b), None);
    }

    #[test]
    fn a_lost_nexus_leaves_nothing_behind() {
        let a = Nexus::new("iqn.a", [0; 6], 1);
        let mut attentions = Attentions::default();
        attentions.nexus_started(&a);
        attentions.nexus_lost(&a);
        attentions.tell(&a, Attention::Reset);
        assert!(attentions.0.is_empty());
        assert_eq!(attentions.take(&a), None);
    }
}
