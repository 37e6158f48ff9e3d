//! What every header and every code has in common, written once.

/// Makes a `#[repr(C)]` struct of 48 bytes a [`Pdu`](super::Pdu) and checks its size when compiling.
macro_rules! pdu {
    ($name:ident) => {
        const _: () = assert!(size_of::<$name>() == $crate::pdu::BHS_LENGTH);

        impl $crate::pdu::Pdu for $name {
            const OPCODE: $crate::pdu::Opcode = $crate::pdu::Opcode::$name;

            fn as_bhs(&self) -> &$crate::pdu::Bhs {
                zerocopy::transmute_ref!(self)
            }

            fn from_bhs(bhs: &$crate::pdu::Bhs) -> &Self {
                zerocopy::transmute_ref!(bhs)
            }

            fn basic(&self) -> &$crate::pdu::BasicHeader {
                zerocopy::transmute_ref!(self)
            }

            fn basic_mut(&mut self) -> &mut $crate::pdu::BasicHeader {
                zerocopy::transmute_mut!(self)
            }
        }
    };
}

/// A PDU that an initiator may mark for immediate delivery.
macro_rules! request {
    ($name:ident) => {
        pdu!($name);

        impl $crate::pdu::Request for $name {}
    };
}

/// A PDU from a target: it carries StatSN, ExpCmdSN and MaxCmdSN.
macro_rules! response {
    ($name:ident) => {
        pdu!($name);

        impl $crate::pdu::Response for $name {
            fn sequence_numbers(&self) -> $crate::pdu::SequenceNumbers {
                $crate::pdu::SequenceNumbers {
                    stat_sn: self.stat_sn.get(),
                    exp_cmd_sn: self.exp_cmd_sn.get(),
                    max_cmd_sn: self.max_cmd_sn.get(),
                }
            }

            fn set_sequence_numbers(&mut self, numbers: $crate::pdu::SequenceNumbers) {
                self.stat_sn = numbers.stat_sn.into();
                self.exp_cmd_sn = numbers.exp_cmd_sn.into();
                self.max_cmd_sn = numbers.max_cmd_sn.into();
            }
        }
    };
}

/// A getter and a setter for each flag of byte 1.
macro_rules! flags {
    ($name:ident { $( $(#[$doc:meta])* $bit:literal => $get:ident, $set:ident; )* }) => {
        impl $name {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $get(&self) -> bool {
                    self.flags & $bit != 0
                }

                #[doc = concat!("Sets or clears what [`Self::", stringify!($get), "`] tells.")]
                pub fn $set(&mut self, on: bool) {
                    if on {
                        self.flags |= $bit;
                    } else {
                        self.flags &= !$bit;
                    }
                }
            )*
        }
    };
}

/// An enum of the codes of one field: conversion from and to the byte, and the RFC's name of each.
macro_rules! codes {
    (
        $(#[$doc:meta])*
        $name:ident else $malformed:ident {
            $( $(#[$code_doc:meta])* $variant:ident = $code:literal $text:literal, )*
        }
        $( $vendor:ident in $vendor_codes:pat )?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$code_doc])* $variant, )*
            $(
                #[doc = concat!("One of the codes left to vendors: `", stringify!($vendor_codes), "`.")]
                $vendor(u8),
            )?
        }

        impl $name {
            /// The code on the wire.
            #[must_use]
            pub fn code(self) -> u8 {
                match self {
                    $( Self::$variant => $code, )*
                    $( Self::$vendor(code) => code, )?
                }
            }

            /// The RFC's words for this code.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )*
                    $( Self::$vendor(_) => "vendor-specific", )?
                }
            }
        }

        impl TryFrom<u8> for $name {
            type Error = $crate::pdu::Malformed;

            fn try_from(code: u8) -> Result<Self, Self::Error> {
                match code {
                    $( $code => Ok(Self::$variant), )*
                    $( $vendor_codes => Ok(Self::$vendor(code)), )?
                    #[allow(unreachable_patterns, reason = "some fields have no reserved code")]
                    _ => Err($crate::pdu::Malformed::$malformed(code)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} ({:#04x})", self.text(), self.code())
            }
        }
    };
}
