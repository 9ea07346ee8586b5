//! Where a series changes its level for good.
