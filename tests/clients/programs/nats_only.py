"""A program of another system: it knows NATS, CloudEvents and the published JSON Schema, nothing of our code."""

import asyncio
import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import nats

given = json.loads(sys.argv[1])
schema = json.loads(Path(given["schema"]).read_text())


async def main():
    data = {"namespace": "default", "manifest": given["manifest"]}
    jsonschema.validate(data, schema)
    connection = await nats.connect(os.environ["NATS_URL"])
    heard = asyncio.Queue()
    await connection.subscribe("millstream.>", cb=heard.put)
    letter = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "erp/orders",
        "type": "training.trainjob.apply.v1",
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "namespace": "default",
        "data": data,
    }
    body = json.dumps(letter).encode()
    headers = {"content-type": "application/cloudevents+json", "Nats-Msg-Id": letter["id"]}
    for _ in range(2):  # said twice, as programs do that are not sure
        await connection.jetstream().publish("millstream.training.trainjob.apply.v1.default", body, headers=headers)
    story, uid = [], None
    async with asyncio.timeout(given["timeout_s"]):
        while True:
            said = json.loads((await heard.get()).data)
            about = said["data"]
            if said.get("causationid") == letter["id"] and said["type"].endswith(("applied.v1", "rejected.v1")):
                uid = about.get("uid")
                story.append(said)
                if uid is None:
                    break
            elif uid and uid in (about.get("uid"), about.get("job_uid")):
                story.append(said)
            if said["type"] in given["until"] and (uid in (about.get("uid"), about.get("job_uid")) or given["loose"]):
                story.append(said)
                break
    await connection.close()
    print("RESULT " + json.dumps({"types": [x["type"] for x in story], "last": story[-1]["data"]}))


asyncio.run(main())
