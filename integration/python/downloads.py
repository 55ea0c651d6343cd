"""What an update task does with aiohttp: every MAR at once, each in a session of its own."""

import asyncio

import aiohttp

from stage import same


async def download(url):
    """One file as funsize gets it; gives back its bytes and the number of redirects on the way."""
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(timeout=timeout, headers={"Accept-Encoding": "gzip, deflate"}) as session:
        async with session.get(url) as answer:
            same(answer.status, 200, url)
            same(answer.headers.get("Content-Encoding"), None, f"Content-Encoding of {url}")
            data = b""
            while chunk := await answer.content.read(4096):
                data += chunk
            return data, len(answer.history)


def download_all(urls):
    """Downloads them at the same time."""

    async def gathered():
        return await asyncio.gather(*[download(url) for url in urls])

    return asyncio.run(gathered())
