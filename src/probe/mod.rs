//! What is measured of soakd's processes, of the target, and of the machine below them. A probe reads and returns figures; it
//! judges nothing, keeps no history, and what is gone is `None`, not an error.

pub mod clock;
pub mod disk;
pub mod files;
pub mod limits;
pub mod missing;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod unit;
pub mod version;
