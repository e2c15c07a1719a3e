"""The same hop with FastAPI in front of aiohttp."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from fastapi import FastAPI, Request, Response

TARGET = os.environ["BENCH_TARGET"]


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """One client for all requests."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        application.state.http = http
        yield


application = FastAPI(lifespan=lifespan)


@application.put("/{path:path}")
async def forward(path: str, request: Request) -> Response:
    """Body there, body back."""
    body = await request.body()
    async with application.state.http.put(f"{TARGET}/{path}", data=body) as answer:
        return Response(await answer.read(), answer.status, media_type="application/json")
