//! Being written
