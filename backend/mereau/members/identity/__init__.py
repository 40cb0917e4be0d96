"""Telling people apart: normal forms under which two spellings of one address are one."""
