//! What is measured of soakd's processes and of the machine below them. A probe reads and returns figures; it judges nothing,
//! keeps no history, and what is gone is `None`, not an error.

pub mod clock;
pub mod disk;
pub mod limits;
pub mod process;
