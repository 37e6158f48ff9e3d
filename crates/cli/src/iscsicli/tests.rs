//! Tests of the grammar and of the output. The texts in `golden/` are typed from what is known of the
//! program of Windows: labels, columns, trailing blanks.

mod golden;
mod grammar;
