//! Runs the prepared statements over the SQL gateway, one by one, and says what came of each.

use crate::cli::{EXIT_FAIL, EXIT_OK};
use crate::target::gateway::Gateway;

/// Runs all statements up to the first that fails.
pub(super) fn run(gateway: &Gateway, statements: &[String]) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for (done, statement) in statements.iter().enumerate() {
            match gateway.sql(statement).await {
                Ok(_) => println!("ok      {statement}"),
                Err(why) => {
                    println!("FAILED  {statement}\n        {why}");
                    println!("{done} of {} statements ran; the rest was left out", statements.len());
                    return Ok(EXIT_FAIL);
                }
            }
        }
        println!("the database is ready");
        Ok(EXIT_OK)
    })
}
