//! The LUNs of a session that were opened: which disks must be asked who they are after a login.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hawser_scsi::Lun as LunNumber;

use super::{LunState, Standing};

/// The open LUNs of a session, and its logins.
#[derive(Debug, Default)]
pub(crate) struct OpenLuns(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How often the session was logged in.
    login: u64,
    luns: Vec<Arc<LunState>>,
}

impl OpenLuns {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the session was logged in so far.
    pub(crate) fn login(&self) -> u64 {
        self.inner().login
    }

    /// The session was logged in: counts it, and gives all LUNs that somebody holds or that have
    /// changes to be flushed. What is adopted from now on was asked for later than this.
    pub(crate) fn logged_in(&self) -> (u64, Vec<Arc<LunState>>) {
        let mut inner = self.inner();
        inner.login += 1;
        inner.luns.retain(|lun| lun.is_needed(1));
        (inner.login, inner.luns.clone())
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<LunState>> {
        self.inner().luns.clone()
    }

    /// Takes in a LUN that was asked from login number `login` on. A disk that is open already stays
    /// the one it is, with its unflushed changes: only so are they all written again in order.
    ///
    /// Also gives the LUNs that must be asked now: itself, if there was another login since; and what
    /// was open there, if that is another disk.
    pub(crate) fn adopt(
        &self,
        probed: LunState,
        login: u64,
    ) -> (Arc<LunState>, Vec<Arc<LunState>>) {
        let mut inner = self.inner();
        inner.luns.retain(|open| open.is_needed(1));
        let open: Vec<_> = inner
            .luns
            .iter()
            .filter(|open| open.is_at(probed.number))
            .cloned()
            .collect();
        let same = open.iter().find(|open| open.identity == probed.identity);
        let (geometry, limits) = (probed.geometry(), probed.limits());
        if let Some(same) = same
            && same.renew(geometry, limits)
        {
            return (Arc::clone(same), Vec::new());
        }
        let mut doubted = open;
        let lun = Arc::new(probed);
        inner.luns.push(Arc::clone(&lun));
        if inner.login != login {
            doubted.push(Arc::clone(&lun));
        }
        (lun, doubted)
    }

    /// Forgets a LUN that nobody but the caller holds; `false` when it is still needed.
    pub(crate) fn forget(&self, lun: &Arc<LunState>) -> bool {
        let mut inner = self.inner();
        // The list holds it, and the caller.
        if lun.is_needed(2) {
            return false;
        }
        inner.luns.retain(|open| !Arc::ptr_eq(open, lun));
        true
    }
}

impl LunState {
    /// It is at `number` and may be asked.
    pub(crate) fn is_at(&self, number: LunNumber) -> bool {
        self.number == number && self.standing() != Standing::Wrong
    }

    /// Somebody beside `holders` holds it, or a flush of it is still owed to somebody.
    pub(crate) fn is_needed(self: &Arc<Self>, holders: usize) -> bool {
        let owes_flush = !self.is_wrong_disk() && !self.unflushed().is_idle();
        Arc::strong_count(self) > holders || owes_flush
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use hawser_block::Operation;
    use hawser_proto::names::IscsiName;
    use hawser_scsi::Inquiry;

    use super::super::{Limits, Medium, Unflushed, probe};
    use super::*;

    /// What LUN 0 says, with such a name.
    fn probed(identity: &str) -> LunState {
        let mut answer = [0; 36];
        answer[4] = 31;
        LunState {
            target: IscsiName::parse("iqn.2026-11.test.hawser:open").unwrap(),
            number: LunNumber::ZERO,
            identity: Some(identity.parse().unwrap()),
            inquiry: Inquiry::decode(&answer).unwrap(),
            serial: None,
            medium: Mutex::new(Medium {
                geometry: probe::no_medium(),
                limits: Limits::default(),
                standing: Standing::Known,
                doubts: 0,
            }),
            unflushed: Mutex::new(Unflushed::default()),
        }
    }

    fn opened(luns: &OpenLuns, identity: &str) -> Arc<LunState> {
        let (lun, doubted) = luns.adopt(probed(identity), luns.login());
        assert!(doubted.is_empty());
        lun
    }

    #[test]
    fn a_disk_is_opened_once() {
        let luns = OpenLuns::default();
        let first = opened(&luns, "naa.1");
        assert!(Arc::ptr_eq(&first, &opened(&luns, "naa.1")));
    }

    #[test]
    fn a_disk_that_was_asked_before_a_login_is_asked_again() {
        let luns = OpenLuns::default();
        let before = luns.login();
        luns.logged_in();
        let (lun, doubted) = luns.adopt(probed("naa.1"), before);
        assert!(doubted.len() == 1 && Arc::ptr_eq(&lun, &doubted[0]));
    }

    #[test]
    fn a_disk_at_whose_place_another_was_found_is_asked_again() {
        let luns = OpenLuns::default();
        let first = opened(&luns, "naa.1");
        let (second, doubted) = luns.adopt(probed("naa.2"), luns.login());
        assert!(doubted.len() == 1 && Arc::ptr_eq(&first, &doubted[0]));
        first.set_wrong_disk();
        let (_, doubted) = luns.adopt(probed("naa.2"), luns.login());
        assert!(doubted.is_empty());
        drop(second);
    }

    /// The check that gave up, and whoever opens it at the same moment, agree on whether it is asked.
    #[test]
    fn only_what_nobody_needs_is_forgotten() {
        let luns = OpenLuns::default();
        let lun = opened(&luns, "naa.1");
        let held = Arc::clone(&lun);
        assert!(!luns.forget(&lun));
        drop(held);
        lun.doubt(Instant::now());
        lun.unflushed()
            .keep(Operation::Write { fua: false }, 0, &[1]);
        assert!(!luns.forget(&lun), "a flush is owed");
        let mark = lun.unflushed().mark();
        assert!(lun.unflushed().flushed(mark, false));
        assert!(luns.forget(&lun));
        assert_eq!(opened(&luns, "naa.1").standing(), Standing::Known);
    }

    #[test]
    fn another_disk_owes_nothing() {
        let luns = OpenLuns::default();
        let lun = opened(&luns, "naa.1");
        lun.unflushed()
            .keep(Operation::Write { fua: false }, 0, &[1]);
        lun.set_wrong_disk();
        drop(lun);
        assert!(luns.logged_in().1.is_empty());
    }

    #[test]
    fn an_answer_from_before_the_latest_doubt_is_none() {
        let lun = probed("naa.1");
        assert!(lun.doubt(Instant::now()));
        let asked = lun.doubts();
        assert!(!lun.doubt(Instant::now()), "asked already");
        assert!(!lun.trust(asked));
        assert!(lun.standing() != Standing::Known);
        assert!(lun.trust(lun.doubts()));
        assert_eq!(lun.standing(), Standing::Known);
    }
}
