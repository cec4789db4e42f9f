"""Files of formats whose library a damaged file can end or stop are read in a process of their own.

`process` runs a function there, `array` reads arrays, `child` is that process, `watch` ends it where it does not get
on, `pipe` has the messages between the two.
"""
