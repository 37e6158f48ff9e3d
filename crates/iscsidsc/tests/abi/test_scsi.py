"""§2.6: SendScsiInquiry, SendScsiReadCapacity and SendScsiReportLuns, against what tgt has."""

import concurrent.futures

import peers
from discovery_library import *
from logged_in import Discovered, nobody
from service import until

GOOD, CHECK_CONDITION = 0x00, 0x02
EVPD, CMDDT = 1, 2
#: What tgt calls its disks, and the controller that every target has at LUN 0.
VENDOR, DISK_PRODUCT, CONTROLLER_PRODUCT = b"IET     ", b"VIRTUAL-DISK    ", b"Controller      "
DISK_TYPE, CONTROLLER_TYPE = 0x00, 0x0C
#: Peripheral qualifier and type of a LUN that is not there (SPC-4 section 6.4.2).
NOTHING_THERE = 0x7F
ILLEGAL_REQUEST = 0x05
#: Sense data is never told to be shorter (§2.6).
LEAST_SENSE = 18
DISK_LUNS = [lun_value(number) for number in (1, 2, 3)]


def number(data):
    """A number as SCSI has it."""
    return int.from_bytes(data, "big")


class Scsi(Discovered):
    """What all of them need: a session with three disks."""

    #: Whether the session is informational.
    informational = True

    def setUp(self):
        super().setUp()
        self.session_id = self.log_in(self.library.W, peers.DISKS, informational=self.informational).session

    def refused(self, answer, key=ILLEGAL_REQUEST):
        """The device refused: status, sense data, no response."""
        self.assertStatus(answer.status, ISDSC_SCSI_REQUEST_FAILED)
        self.assertEqual((answer.scsi_status, answer.data, answer.data_size), (CHECK_CONDITION, b"", 0))
        self.assertGreaterEqual(answer.sense_size, LEAST_SENSE)
        # Fixed format (SPC-4 section 4.5.3).
        self.assertEqual((answer.sense[0] & 0x7F, answer.sense[2] & 0xF), (0x70, key))


class Inquiry(Scsi):
    """SendScsiInquiry."""

    def test_the_disks_say_what_tgt_calls_them(self):
        for lun in DISK_LUNS:
            answer = self.library.inquiry(self.session_id, lun)
            self.assertStatus(answer.status, ERROR_SUCCESS)
            self.assertEqual(answer.scsi_status, GOOD)
            self.assertEqual(answer.data[0], DISK_TYPE)
            self.assertEqual(len(answer.data), answer.data[4] + 5, "as long as it says itself")
            self.assertEqual(answer.data[8:32], VENDOR + DISK_PRODUCT)
            self.assertEqual(answer.sense_size, LEAST_SENSE)

    def test_zero_is_the_controller(self):
        answer = self.library.inquiry(self.session_id)
        self.assertStatus(answer.status, ERROR_SUCCESS)
        self.assertEqual((answer.data[0], answer.data[8:32]), (CONTROLLER_TYPE, VENDOR + CONTROLLER_PRODUCT))

    def test_a_lun_is_the_eight_bytes_as_they_are(self):
        # The number 1 and LUN 1 in the other byte order have LUN 0 where tgt looks for it.
        for wrong in (1, 1 << 48):
            answer = self.library.inquiry(self.session_id, wrong)
            self.assertStatus(answer.status, ERROR_SUCCESS)
            self.assertEqual(answer.data[0], CONTROLLER_TYPE, f"{wrong:#x}")
        answer = self.library.inquiry(self.session_id, lun_value(9))
        self.assertStatus(answer.status, ERROR_SUCCESS)
        self.assertEqual(answer.data[0], NOTHING_THERE)

    def test_pages_are_asked_for_by_the_lowest_bit(self):
        supported = self.library.inquiry(self.session_id, lun_value(2), EVPD, 0x00)
        self.assertStatus(supported.status, ERROR_SUCCESS)
        self.assertEqual(supported.data[:2], b"\x00\x00")
        self.assertEqual(len(supported.data), number(supported.data[2:4]) + 4)
        pages = supported.data[4:]
        for page in (0x80, 0x83, 0xB0):
            self.assertIn(page, pages)
            answer = self.library.inquiry(self.session_id, lun_value(2), EVPD, page)
            self.assertStatus(answer.status, ERROR_SUCCESS)
            self.assertEqual(answer.data[:2], bytes([DISK_TYPE, page]))
            self.assertEqual(len(answer.data), number(answer.data[2:4]) + 4)

    def test_serial_numbers_and_identities_are_those_of_the_lun(self):
        seen = set()
        for lun in DISK_LUNS:
            serial, identity = (self.library.inquiry(self.session_id, lun, EVPD, page).data for page in (0x80, 0x83))
            seen |= {serial[4:], identity[4:]}
            # tgt makes its serial numbers of target and LUN.
            self.assertTrue(serial.strip().endswith(b"%d" % (lun >> 8)), serial)
        self.assertEqual(len(seen), 6)

    def test_further_bits_are_not_passed_on(self):
        plain = self.library.inquiry(self.session_id, lun_value(1))
        self.assertEqual(self.library.inquiry(self.session_id, lun_value(1), 0xFC).data, plain.data)
        page = self.library.inquiry(self.session_id, lun_value(1), 0xFC | EVPD, 0x83)
        self.assertEqual(page.data[1], 0x83)

    def test_a_page_that_is_not_there_is_refused_with_sense(self):
        answer = self.library.inquiry(self.session_id, lun_value(1), EVPD, 0x7F)
        self.refused(answer)
        self.assertEqual(answer.sense[12], 0x24, "invalid field in CDB")
        # Without that bit there is no page that could be asked for.
        self.refused(self.library.inquiry(self.session_id, lun_value(1), 0, 0x83))


class ReadCapacity(Scsi):
    """SendScsiReadCapacity."""

    def test_it_is_that_of_the_disks(self):
        for lun in DISK_LUNS:
            answer = self.library.read_capacity(self.session_id, lun)
            self.assertStatus(answer.status, ERROR_SUCCESS)
            self.assertEqual((answer.scsi_status, len(answer.data)), (GOOD, 8))
            last, block = number(answer.data[:4]), number(answer.data[4:])
            self.assertEqual((block, (last + 1) * block), (peers.BLOCK_SIZE, peers.DISK_SIZE))
            self.assertEqual(answer.sense_size, LEAST_SENSE)

    def test_a_lun_that_is_not_there_is_refused_with_sense(self):
        for lun in (lun_value(9), 0xFFFFFFFFFFFFFFFF):
            answer = self.library.read_capacity(self.session_id, lun)
            self.refused(answer)
            self.assertEqual(answer.sense[12], 0x25, "logical unit not supported")

    def test_a_controller_has_none(self):
        answer = self.library.read_capacity(self.session_id, 0)
        self.refused(answer)
        self.assertEqual(answer.sense[12], 0x20, "invalid command operation code")


class ReportLuns(Scsi):
    """SendScsiReportLuns."""

    def test_they_are_those_of_the_target(self):
        answer = self.library.report_luns(self.session_id)
        self.assertStatus(answer.status, ERROR_SUCCESS)
        self.assertEqual(answer.scsi_status, GOOD)
        self.assertEqual(len(answer.data), number(answer.data[:4]) + 8)
        self.assertEqual(answer.data[4:8], bytes(4))
        luns = [int.from_bytes(answer.data[at : at + 8], "little") for at in range(8, len(answer.data), 8)]
        self.assertEqual(sorted(luns), [0, *DISK_LUNS], "each is taken by the other calls as it is here")
        self.assertEqual(answer.sense_size, LEAST_SENSE)

    def test_another_target_has_others(self):
        other = self.log_in(self.library.W, peers.OTHER, informational=True).session
        self.assertEqual(len(self.library.report_luns(other).data), 8 + 3 * 8)


class OnTheWire(Discovered):
    """The commands as they are sent (SPC-4, SBC-3)."""

    portals = ()

    def test_one_that_is_under_way_when_the_connection_goes_is_not_sent_again(self):
        with peers.Relay(peers.OPEN) as self.relay:
            self.add_static(self.library.W, peers.DISKS, self.relay.portal)
            session = self.log_in(self.library.W, peers.DISKS, informational=True).session
            calls = (
                lambda: self.library.inquiry(session, lun_value(1)),
                lambda: self.library.read_capacity(session, lun_value(1)),
                lambda: self.library.report_luns(session),
            )
            for call in calls:
                before = len(self.relay.sent)
                self.relay.hold()
                with concurrent.futures.ThreadPoolExecutor(1) as aside:
                    answer = aside.submit(call)
                    until("the command to be sent", lambda: list(commands(bytes(self.relay.sent[before:]))))
                    self.relay.cut()
                    self.assertStatus(answer.result(60).status, ISDSC_TRANSPORT_ERROR)
                until("the session to be back", lambda: self.library.W.sessions()[0].ConnectionCount == 1)
                self.assertStatus(call().status, ERROR_SUCCESS)

    def sent(self, call):
        """The commands that a call sends, as pairs of LUN and CDB."""
        before = len(self.relay.sent)
        call()
        return list(commands(bytes(self.relay.sent[before:])))

    def test_they_are_those_that_were_asked_for(self):
        with peers.Relay(peers.OPEN) as self.relay:
            self.add_static(self.library.W, peers.DISKS, self.relay.portal)
            session = self.log_in(self.library.W, peers.DISKS, informational=True).session
            lun = 0x0807060504030201
            wire_lun = lun.to_bytes(8, "little")
            for flags, passed in ((0, 0), (EVPD, 1), (CMDDT, 2), (0xFF, 3), (0xFC, 0)):
                cdb = bytes([0x12, passed, 0x83, 0, 255, 0])
                sent = self.sent(lambda: self.library.inquiry(session, lun, flags, 0x83))
                self.assertEqual(sent, [(wire_lun, cdb)], f"{flags:#x}")
            sent = self.sent(lambda: self.library.read_capacity(session, lun_value(1)))
            self.assertEqual({pair for pair in sent}, {(lun_value(1).to_bytes(8, "little"), b"\x25" + bytes(9))})
            ((lun, cdb),) = set(self.sent(lambda: self.library.report_luns(session)))
            self.assertEqual((lun, cdb[:6]), (bytes(8), b"\xa0" + bytes(5)), "select report 0, to LUN 0")


def commands(stream):
    """LUN and CDB, without the NULs behind it, of each SCSI Command PDU (RFC 7143 section 11.3)."""
    lengths = {0: 6, 1: 10, 2: 10, 4: 16, 5: 12}
    while stream:
        header, length = stream[:48], number(stream[5:8])
        if header[0] & 0x3F == 0x01:
            cdb = header[32:48]
            yield header[8:16], cdb[: lengths[cdb[0] >> 5]]
        stream = stream[48 + 4 * header[4] + ((length + 3) & ~3) :]


class OverData(Inquiry):
    """The same commands over a session that shows its disks."""

    informational = False

    def test_all_three_are_answered(self):
        self.assertStatus(self.library.read_capacity(self.session_id, lun_value(3)).status, ERROR_SUCCESS)
        self.assertStatus(self.library.report_luns(self.session_id).status, ERROR_SUCCESS)


class Sizes(Scsi):
    """Buffers, sizes and what must not be written."""

    def calls(self):
        """Each call, as (name, call with room, needed bytes)."""
        inquiry = lambda **room: self.library.inquiry(self.session_id, lun_value(1), **room)
        page = lambda **room: self.library.inquiry(self.session_id, lun_value(1), EVPD, 0x83, **room)
        capacity = lambda **room: self.library.read_capacity(self.session_id, lun_value(1), **room)
        luns = lambda **room: self.library.report_luns(self.session_id, **room)
        for name, call in (("inquiry", inquiry), ("page", page), ("capacity", capacity), ("luns", luns)):
            yield name, call, len(call(room=4096).data)

    def test_each_tells_what_it_needs(self):
        for name, call, needed in self.calls():
            for room in (0, 1, needed - 1):
                with self.subTest(call=name, room=room):
                    answer = call(room=room)
                    self.assertStatus(answer.status, ERROR_INSUFFICIENT_BUFFER)
                    self.assertEqual((answer.data_size, answer.scsi_status), (needed, GOOD))
                    self.assertEqual(answer.sense_size, LEAST_SENSE)
            for room in (needed, needed + 1, 255, 65536):
                with self.subTest(call=name, room=room):
                    answer = call(room=room)
                    self.assertStatus(answer.status, ERROR_SUCCESS)
                    self.assertEqual(answer.data_size, needed)

    def test_null_has_no_room_whatever_its_size_says(self):
        status, sense = UCHAR(0), Buffer(18)
        for length in (0, 255, WILD):
            size, sense_size = ULONG(length), ULONG(18)
            told = self.library.SendScsiReportLuns(
                self.session_id, status, size, None, sense_size, sense.at(UCHAR)
            )
            self.assertStatus(told, ERROR_INSUFFICIENT_BUFFER)
            self.assertEqual((size.value, sense_size.value), (8 + 4 * 8, LEAST_SENSE))
        sense.check_untouched()

    def test_sense_is_cut_to_its_room_and_told_in_full(self):
        for room in (0, 1, 8, 17, 18, 64, 252):
            with self.subTest(room=room):
                answer = self.library.inquiry(self.session_id, lun_value(1), EVPD, 0x7F, sense_room=room)
                self.assertStatus(answer.status, ISDSC_SCSI_REQUEST_FAILED)
                self.assertEqual(answer.scsi_status, CHECK_CONDITION)
                self.assertGreaterEqual(answer.sense_size, LEAST_SENSE)
                if room >= LEAST_SENSE:
                    self.assertLessEqual(answer.sense_size, room, "no client reads behind its buffer")
                if room > 2:
                    self.assertEqual(answer.sense[2] & 0xF, ILLEGAL_REQUEST)

    def test_places_that_are_missing_are_refused(self):
        status, size, buffer = UCHAR(0x77), ULONG(77), Buffer(255)
        pointer = buffer.at(UCHAR)
        calls = (
            (self.library.SendScsiInquiry, (0, 0, 0)),
            (self.library.SendScsiReadCapacity, (0,)),
            (self.library.SendScsiReportLuns, ()),
        )
        for call, arguments in calls:
            for missing in ((None, size, pointer, size), (status, None, pointer, size), (status, size, pointer, None)):
                told = call(self.session_id, *arguments, *missing, pointer)
                self.assertStatus(told, ERROR_INVALID_PARAMETER)
            told = call(None, *arguments, status, size, pointer, size, pointer)
            self.assertStatus(told, ERROR_INVALID_PARAMETER)
        self.assertEqual((status.value, size.value), (0x77, 77))
        buffer.check_untouched()

    def test_sessions_that_are_not_are_told(self):
        gone = self.log_in(self.library.W, peers.OTHER, informational=True).session
        check(self.library.LogoutIScsiTarget(gone))
        for session in (gone, nobody(), ISCSI_UNIQUE_SESSION_ID(0, 0)):
            answers = (
                self.library.inquiry(session),
                self.library.read_capacity(session),
                self.library.report_luns(session),
            )
            for answer in answers:
                self.assertStatus(answer.status, ISDSC_INVALID_SESSION_ID)
                self.assertEqual(answer.scsi_status, 0xA5, "nothing is written")

    def test_without_a_service_nothing_is_sent(self):
        self.service.stop()
        self.addCleanup(self.service.start)
        answers = (
            self.library.inquiry(self.session_id),
            self.library.read_capacity(self.session_id),
            self.library.report_luns(self.session_id),
        )
        for answer in answers:
            self.assertStatus(answer.status, ISDSC_SERVICE_NOT_RUNNING)
