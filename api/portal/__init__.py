"""The portal: pages over the same journeys and the same gate as `api.http`. Nothing is decided in a page.

A page reads its form, calls one journey and renders. What a form must show (`forms`), who visits (`visitors`), how what is
refused looks (`pages`) and in whose name the service signs (`acting`) stand in one place each.
"""
