import time
from faults.stage import Stage

async def test_smoke(stage: Stage) -> None:
    t=time.time()
    ids=[await stage.ledger.credit(5), await stage.ledger.credit(6,1)]
    print("credit", time.time()-t)
    await stage.finished()
    print("done", time.time()-t)
    await stage.assert_exact(); await stage.executed(*ids)
    print("exact", time.time()-t)

async def test_smoke2(stage: Stage) -> None:
    await test_smoke(stage)
