//! SCSI commands and their Data-Out (RFC 7143 §11.3, §11.7, §13.10–13.14).

use std::collections::BTreeSet;

use super::{Checkers, Task};
use crate::disk::BLOCK;
use crate::wire::{FINAL, NIL, Pdu};

impl Checkers {
    pub(super) fn check_command(&mut self, link: u64, pdu: &Pdu) {
        let header = &pdu.header;
        let retried = self.tasks.get(&header.itt()).is_some_and(|task| {
            let same =
                |range: std::ops::Range<usize>| header.0[range.clone()] == task.header.0[range];
            same(0..4) && same(8..28) && same(32..48)
        });
        if retried {
            self.tasks.remove(&header.itt());
        }
        self.check_request(link, header);
        assert_eq!(header.0[1] & 0x18, 0, "reserved: {header:?}");
        let (reads, writes) = (header.has(0x40), header.has(0x20));
        assert!(reads != writes, "one direction: {header:?}");
        let edtl = header.u32(20);
        assert_eq!(
            edtl as usize,
            usize::from(header.0[40]) * BLOCK,
            "of the CDB"
        );
        let parameters = &self.connections[&link].parameters;
        let first_burst = edtl.min(parameters.first_burst);
        let immediate = pdu.data.len() as u32;
        let is_final = header.has(FINAL);
        assert!(
            immediate == 0 || writes && parameters.immediate_data,
            "immediate data"
        );
        assert!(immediate <= first_burst, "FirstBurstLength");
        assert!(
            is_final || writes && !parameters.initial_r2t,
            "unsolicited data"
        );
        assert!(
            is_final || immediate < first_burst,
            "none is left: {header:?}"
        );
        let task = Task {
            link,
            header: *header,
            unsolicited: (!is_final).then_some((immediate, first_burst, 0)),
            r2ts: Vec::new(),
            received: BTreeSet::new(),
            marks: Vec::new(),
            acknowledged: 0,
            is_over: false,
        };
        self.tasks.insert(header.itt(), task);
    }

    /// Each burst is what was announced or asked for: in order, whole, on the connection of its task.
    pub(super) fn check_data_out(&mut self, link: u64, pdu: &Pdu) {
        let header = &pdu.header;
        assert!(header.is_zero(24..28) && header.is_zero(32..36) && header.is_zero(44..48));
        assert_eq!(header.0[1] & !FINAL, 0, "reserved: {header:?}");
        let in_order = self.level(link) == 0;
        let task = self.tasks.get_mut(&header.itt()).expect("data of a task");
        assert!(!task.is_over, "data of a task that is over: {header:?}");
        assert_eq!(task.link, link, "data on another connection");
        assert!(!pdu.data.is_empty());
        let (offset, data_sn) = (header.u32(40), header.u32(36));
        let end = offset + pdu.data.len() as u32;
        if header.ttt() == NIL {
            assert!(header.is_zero(8..16), "reserved: {header:?}");
            let due = task.unsolicited.take().expect("unsolicited data is due");
            assert_eq!((offset, data_sn), (due.0, due.2), "{header:?}");
            assert!(
                end <= due.1 && header.has(FINAL) == (end == due.1),
                "{header:?}"
            );
            if end < due.1 {
                task.unsolicited = Some((end, due.1, data_sn + 1));
            }
            return;
        }
        assert_eq!(header.lun(), task.header.lun(), "the LUN is copied");
        let at = task.r2ts.iter().position(|r2t| r2t.ttt == header.ttt());
        let at = at.unwrap_or_else(|| panic!("no such R2T: {header:?}"));
        assert!(at == 0 || !in_order, "R2Ts are answered in order");
        let r2t = &mut task.r2ts[at];
        assert_eq!((offset, data_sn), (r2t.next, r2t.data_sn), "{header:?}");
        assert!(
            end <= r2t.end && header.has(FINAL) == (end == r2t.end),
            "{header:?}"
        );
        (r2t.next, r2t.data_sn) = (end, data_sn + 1);
        if end == r2t.end {
            task.r2ts.remove(at);
        }
    }
}
