//! What a cycle of a direct workload does, block after block. Pure: the daemon counts steps by it, the workers take them.

use super::course::{Block, LanePlan};
use crate::model::lane::Lane;
use crate::workload::bank::BankSpec;
use crate::workload::catalog::CatalogSpec;

/// Returns the one block of the bank: all roles that have workers, at the same time.
pub fn bank(spec: &BankSpec) -> Vec<Block> {
    let (workers, rates) = (&spec.workers, &spec.rates);
    let lane = |lane, workers, rate| LanePlan { lane, workers, rate };
    let lanes = vec![
        lane(Lane::Inserter, workers.inserter, rates.inserter),
        lane(Lane::Transferrer, workers.transferrer, rates.transferrer),
        lane(Lane::Reader, workers.reader, rates.reader),
        lane(Lane::Checker, workers.checker, rates.checker),
        lane(Lane::Deleter, workers.deleter, rates.deleter),
    ];
    let lanes = lanes.into_iter().filter(|plan| plan.workers > 0).collect();
    vec![Block { lanes, seconds: Some(spec.seconds) }]
}

/// Returns the five scenarios of the catalog, one after the other.
pub fn catalog(spec: &CatalogSpec) -> Vec<Block> {
    let lane = |lane, workers| LanePlan { lane, workers, rate: 0.0 };
    let clients = spec.clients;
    let (writers, readers) = spec.cache_clients();
    let block = |lanes: Vec<LanePlan>, seconds| Block { lanes, seconds };
    vec![
        block(vec![lane(Lane::ConcurrentWriters, clients)], Some(spec.seconds)),
        block(vec![lane(Lane::ReadHeavy, clients * 2)], Some(spec.seconds)),
        block(vec![lane(Lane::LockResolution, clients)], None),
        block(vec![lane(Lane::CacheWriters, writers), lane(Lane::CacheReaders, readers)], Some(spec.cache_seconds())),
        block(vec![lane(Lane::ConnectionCleanup, clients)], None),
    ]
}
