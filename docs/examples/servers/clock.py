# A WebSocket server of Python: it tells a client the time of day, when it is asked and once in a while when it is not.
import asyncio
import datetime

import websockets


def now():
    return datetime.datetime.now().strftime('%H:%M:%S.%f')


async def tell(socket):
    while True:
        try:
            await asyncio.wait_for(socket.recv(), timeout=0.1)
            await socket.send('asked: ' + now())
        except asyncio.TimeoutError:
            await socket.send('unasked: ' + now())


async def main():
    async with websockets.serve(tell, '127.0.0.1', 8000):
        await asyncio.Future()


asyncio.run(main())
